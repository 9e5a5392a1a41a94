package sysmonitor

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// fakeFiles is the file system with somebody in between.
type fakeFiles struct {
	osFiles

	mu    sync.Mutex
	steps []string                      // what was done, in order
	fails func(step, path string) error // asked before each step; may wait
}

func (f *fakeFiles) do(step, path string, do func() error) error {
	f.mu.Lock()
	f.steps = append(f.steps, step+" "+filepath.Base(path))
	fails := f.fails
	f.mu.Unlock()
	if fails != nil {
		if err := fails(step, path); err != nil {
			return err
		}
	}
	return do()
}

func (f *fakeFiles) write(path string, b []byte) error {
	return f.do("write", path, func() error { return f.osFiles.write(path, b) })
}

func (f *fakeFiles) rename(from, to string) error {
	return f.do("rename", to, func() error { return f.osFiles.rename(from, to) })
}

func (f *fakeFiles) syncDir(dir string) error {
	return f.do("sync", dir, func() error { return f.osFiles.syncDir(dir) })
}

// set has every step from now on ask fails first; nil: none does.
func (f *fakeFiles) set(fails func(step, path string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = fails
}

// done returns the steps since it was last called.
func (f *fakeFiles) done() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	steps := f.steps
	f.steps = nil
	return steps
}

// withFiles sets what stands between the service and the file system.
func withFiles(f files) Option { return func(o *options) { o.files = f } }

// full is what a full disk says.
func full(step, path string) error {
	return &os.PathError{Op: step, Path: path, Err: syscall.ENOSPC}
}

// logged returns an option to log to a buffer, from a level on, and what reads it.
func logged(level slog.Level) (Option, func() string) {
	var mu sync.Mutex
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(lockedWriter{&mu, &b}, &slog.HandlerOptions{Level: level}))
	return WithLogger(log), func() string {
		mu.Lock()
		defer mu.Unlock()
		return b.String()
	}
}

// mustOpen opens a data directory that is closed when the test ends.
func mustOpen(t *testing.T, dir string, f files) *dataDir {
	t.Helper()
	d, err := makeData(dir, f)
	require.NoError(t, err)
	t.Cleanup(d.close)
	return d
}

func someRecord() view.Record {
	return view.Record{
		Number: 9, Active: 4, InSync: []tandem.Server{{Addr: "a", Incarnation: 4}},
		View: tandem.View{Viewnum: 5, Primary: "a", PrimaryIncarnation: 4, Backup: "b", BackupIncarnation: 1 << 60, Cluster: 77},
	}
}

// TestDataFile: V10. What is kept is what comes back, and a file that differs from
// it in any bit, or in its length, is damaged.
func TestDataFile(t *testing.T) {
	r := someRecord()
	good, err := encodeData(r)
	require.NoError(t, err)
	got, err := decodeData(good)
	require.NoError(t, err)
	require.Equal(t, r, got)
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			_, err := decodeData(b)
			require.ErrorIs(t, err, ErrDamaged, "bit %d of byte %d", bit, i)
		}
		_, err := decodeData(good[:i])
		require.ErrorIs(t, err, ErrDamaged, "%d bytes", i)
		_, err = decodeData(slices.Concat(good, good[:i+1]))
		require.ErrorIs(t, err, ErrDamaged, "%d bytes more", i+1)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := slices.Clone(good)
		for range rapid.IntRange(1, 9).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] = rapid.Byte().Draw(t, "value")
		}
		if r, err := decodeData(b); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
		} else {
			require.Equal(t, good, b, "%+v", r)
		}
	})
}

// TestKeepingARecord: V10. It is written and durable under another name first, then
// put in place, and that is made durable, too; whichever step fails, what can be
// read is the old record or the new one, and the next attempt mends it.
func TestKeepingARecord(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "one", "two")
	f := &fakeFiles{}
	d := mustOpen(t, dir, f)
	require.Equal(t, []string{"sync " + filepath.Base(filepath.Dir(parent)), "sync " + filepath.Base(parent), "sync one"}, f.done(),
		"the directories themselves are durable, what was found too")
	old := someRecord()
	require.NoError(t, d.keep(old))
	require.Equal(t, []string{"write views.part", "rename views", "sync two"}, f.done())

	for _, broken := range []string{"write", "rename", "sync"} {
		next := old
		next.Number++
		next.View.Viewnum++
		f.set(func(step, path string) error {
			if step == broken {
				return full(step, path)
			}
			return nil
		})
		require.ErrorIs(t, d.keep(next), syscall.ENOSPC, broken)
		got, err := readData(d.path(recordFile))
		require.NoError(t, err)
		if broken == "sync" {
			require.Equal(t, next, got)
		} else {
			require.Equal(t, old, got)
		}
		f.set(nil)
		require.NoError(t, d.keep(next))
		got, err = readData(d.path(recordFile))
		require.NoError(t, err)
		require.Equal(t, next, got)
		old = next
	}
}

// TestDataDirectoryIsOpened: with what is there, and without what an interrupted
// write left behind.
func TestDataDirectoryIsOpened(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, partFile), []byte("tdmvie"), 0o600))
	d := mustOpen(t, dir, osFiles{})
	require.Nil(t, d.last)
	require.NoFileExists(t, d.path(partFile))
	require.NoError(t, d.keep(someRecord()))
	d.close()
	require.NoError(t, os.WriteFile(d.path(partFile), []byte("tdmvie"), 0o600))
	d = mustOpen(t, dir, osFiles{})
	require.Equal(t, someRecord(), *d.last)
	require.NoFileExists(t, d.path(partFile))
}

// TestDataDirectoryIsRefused: a service that cannot use its directory does not
// start, says why, and leaves everything as it is.
func TestDataDirectoryIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	damaged := func(change func([]byte) []byte) string {
		dir := t.TempDir()
		good, err := encodeData(someRecord())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, recordFile), change(good), 0o600))
		return dir
	}
	empty := damaged(func([]byte) []byte { return nil })
	flipped := damaged(func(b []byte) []byte { b[20] ^= 4; return b })
	foreign := damaged(func([]byte) []byte { return bytes.Repeat([]byte("x"), 2*dataMax) })
	senseless := t.TempDir()
	b, err := encodeData(view.Record{Number: 3})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(senseless, recordFile), b, 0o600))
	used := t.TempDir()
	m := startTest(t, WithData(used))

	for name, c := range map[string]struct {
		dir  string
		is   error
		says []string
	}{
		"a file":            {file, nil, []string{file, "not a directory"}},
		"below a file":      {filepath.Join(file, "dir"), syscall.ENOTDIR, []string{file}},
		"nowhere":           {"/proc/self/tandem/dir", nil, []string{"/proc/self/tandem"}},
		"not to be written": {"/proc/self", nil, []string{"/proc/self/lock"}},
		"empty":             {empty, ErrDamaged, []string{filepath.Join(empty, recordFile), "0 bytes"}},
		"flipped":           {flipped, ErrDamaged, []string{filepath.Join(flipped, recordFile), "checksum"}},
		"foreign":           {foreign, ErrDamaged, []string{filepath.Join(foreign, recordFile)}},
		"senseless":         {senseless, view.ErrBadRecord, []string{filepath.Join(senseless, recordFile), "no view"}},
		"another group's":   {kept(t, someRecord()), view.ErrBadRecord, []string{"of group 0, wanted 5"}},
		"in use":            {used, ErrDataInUse, []string{used}},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := os.ReadFile(filepath.Join(c.dir, recordFile))
			addr := filepath.Join(socketDir(t), "m")
			_, err := Start(addr, WithData(c.dir), WithGroup(5))
			require.Error(t, err)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			for _, want := range append(c.says, addr) {
				require.ErrorContains(t, err, want)
			}
			after, _ := os.ReadFile(filepath.Join(c.dir, recordFile))
			require.Equal(t, before, after)
			require.NoFileExists(t, addr)
		})
	}
	m.Kill()
	startTest(t, WithData(used)) // free again

	// A service that cannot listen gives the directory back.
	dir := t.TempDir()
	_, err = Start(startTest(t).Addr(), WithData(dir))
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	startTest(t, WithData(dir))
}

// kept returns a directory that holds a record.
func kept(t *testing.T, r view.Record) string {
	d := mustOpen(t, t.TempDir(), osFiles{})
	require.NoError(t, d.keep(r))
	d.close()
	return d.dir
}

// TestRestartGoesOn: V10. A service that is started again on its directory goes on
// from the view that it announced last, whose servers need do nothing; a fresh
// server that comes first is idle.
func TestRestartGoesOn(t *testing.T) {
	dir := t.TempDir()
	// So long an interval that nobody is suspected in between, however busy the machine is.
	m := startTest(t, WithData(dir), WithPingInterval(time.Minute))
	pair(t, m)
	before := m.Status()
	require.Equal(t, dir, before.Data)
	require.Empty(t, before.DiskTrouble)
	m.Kill()

	log, text := logged(slog.LevelInfo)
	m = startTest(t, WithData(dir), log, WithPingInterval(time.Minute))
	st := m.Status()
	require.Equal(t, before.View, st.View)
	require.Equal(t, before.Active, st.Active)
	require.Equal(t, before.InSync, st.InSync)
	require.Len(t, st.History, 1)
	require.Equal(t, []Change{{View: before.View, Active: 2, Rule: "V10", Reason: "restored from the record", Ago: st.History[0].Ago}}, st.History)
	require.False(t, st.Down)
	require.Contains(t, st.Why, "has not been heard since this service restarted")
	c := clientOf(t, m, "any")
	v, ok := c.Get()
	require.True(t, ok)
	require.Equal(t, before.View, v)

	cluster := before.View.Cluster
	ping(t, c, PingArgs{Me: "fresh", Incarnation: 9, Seq: 1})
	ping(t, c, PingArgs{Me: "b", Incarnation: 5, Seq: 100, Viewnum: 2, Cluster: cluster})
	r := ping(t, c, PingArgs{Me: "a", Incarnation: 5, Seq: 100, Viewnum: 2, Cluster: cluster})
	require.Equal(t, before.View, r.View)
	require.EqualValues(t, 2, r.Active)
	require.Empty(t, m.Status().Why)
	_, err := c.PingServer(t.Context(), PingArgs{Me: "z", Incarnation: 5, Seq: 100, Viewnum: 2, Cluster: cluster + 1})
	require.ErrorIs(t, err, tandem.ErrWrongCluster)
	m.Kill()
	require.Contains(t, text(), "goes on from the views that were kept")
	require.Equal(t, 2, strings.Count(text(), "\n"), "and the stranger: %s", text())
}

// TestRestartedMembersAreAwaited: V10, V7. They have the usual time to be heard,
// and then the rules go on from the record.
func TestRestartedMembersAreAwaited(t *testing.T) {
	dir := t.TempDir()
	m := startTest(t, WithData(dir))
	pair(t, m)
	cluster := m.Status().View.Cluster
	m.Kill()
	m = startTest(t, WithData(dir), WithDeadPings(3))
	b := clientOf(t, m, "b")
	seq := uint64(1000)
	poll(t, func() bool {
		seq++
		r := ping(t, b, PingArgs{Me: "b", Incarnation: 5, Seq: seq, Viewnum: 2, Cluster: cluster})
		return r.View.Viewnum == 3
	}, "b to follow a")
	st := m.Status()
	require.Equal(t, "b", st.View.Primary)
	require.Equal(t, []string{"V10", "V4"}, []string{st.History[0].Rule, st.History[1].Rule})
}

// TestWhatIsFoundIsMadeDurable: V10. A record whose name was not durable yet when its
// writer was killed is announced by the next service, so that one sees to it first.
func TestWhatIsFoundIsMadeDurable(t *testing.T) {
	dir := kept(t, someRecord())
	f := &fakeFiles{}
	mustOpen(t, dir, f).close()
	require.Equal(t, []string{"sync " + filepath.Base(dir)}, f.done())

	f.set(full)
	_, err := openData(dir, f)
	require.ErrorIs(t, err, syscall.ENOSPC)
}

// TestDirectoryOfAnInterruptedStart: V10. A record is no more durable than the name of
// its directory. Whoever made that may have been killed before he had synced it.
func TestDirectoryOfAnInterruptedStart(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "data")
	f := &fakeFiles{}
	killed := errors.New("killed")
	f.set(func(step, path string) error {
		if _, err := os.Stat(dir); err == nil { // made, and its name not durable yet
			return killed
		}
		return nil
	})
	_, err := makeData(dir, f)
	require.ErrorIs(t, err, killed)
	f.set(nil)
	f.done()
	mustOpen(t, dir, f).close()
	require.Equal(t, []string{"sync " + filepath.Base(parent)}, f.done())
	mustOpen(t, dir, f).close()
	require.Empty(t, f.done(), "once is enough")

	f.set(full)
	_, err = makeData(filepath.Join(parent, "other"), f)
	require.ErrorIs(t, err, syscall.ENOSPC)
	f.set(func(step, path string) error { return &os.PathError{Op: step, Path: path, Err: syscall.EACCES} })
	_, err = makeData(t.TempDir(), f)
	require.NoError(t, err, "a directory of others, which cannot be read")
}
