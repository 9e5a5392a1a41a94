// The example scenario tells Tandem's story in one screen, on real sockets: a
// group of servers comes up, loses its primary under load, takes a server back,
// and goes down rather than lie.
//
//	go run main/example_scenario.go
//
// It checks what it tells. If a check fails it prints what was expected and
// exits with status 1. It leaves no file and no process behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/sysmonitor"
)

func main() {
	if err := run(); err != nil {
		fmt.Printf("\nFAILED: %v\n", err)
		os.Exit(1)
	}
}

// patience bounds every wait of the scenario; none should take nearly as long.
const patience = 10 * time.Second

// story is the cast: the view service, the servers by name, and a client.
type story struct {
	dir     string
	start   time.Time
	monitor *sysmonitor.MonitorServer
	servers map[string]*kvservice.KVServer
	client  *kvservice.KVClient
}

func run() (err error) {
	dir, err := os.MkdirTemp("", "tandem")
	if err != nil {
		return err
	}
	s := &story{dir: dir, start: time.Now(), servers: make(map[string]*kvservice.KVServer)}
	defer func() {
		s.end()
		if e := os.RemoveAll(dir); err == nil {
			err = e
		}
	}()
	for _, chapter := range []func(*story) error{
		firstServer, backupJoins, primaryDies, deadServerReturns, lastTwoDie,
	} {
		if err := chapter(s); err != nil {
			return err
		}
	}
	s.chapter("The end")
	s.tell("every check held")
	return nil
}

func (s *story) end() {
	if s.client != nil {
		s.client.Close()
	}
	for _, server := range s.servers {
		server.Kill()
	}
	if s.monitor != nil {
		s.monitor.Kill()
	}
}

// firstServer: one server is enough to begin with.
func firstServer(s *story) error {
	s.chapter("1. A view service and one server")
	s.tell("the view service decides who is primary and who is backup; servers ping it")
	monitor, err := sysmonitor.Start(s.addr("monitor"))
	if err != nil {
		return err
	}
	s.monitor = monitor
	began := time.Now()
	if err := s.startServer("Ann"); err != nil {
		return err
	}
	if err := s.await("Ann becomes primary of view 1", func() bool {
		return s.role("Ann") == "primary" && s.servers["Ann"].Status().Active
	}); err != nil {
		return err
	}
	s.tell("Ann was the first to ping, so she is the primary (after %s); there is no backup yet", since(began))
	s.tellView()

	s.client = kvservice.MakeKVClient(s.monitor.Addr())
	s.client.Put("color", "green")
	s.tell(`a client puts color = "green" and gets %q`, s.client.Get("color"))
	if err := s.expect("color", "green"); err != nil {
		return err
	}
	const keys = 2000
	for i := range keys {
		s.client.Put(key(i), value(i))
	}
	s.tell("and %d more keys", keys)
	return nil
}

// backupJoins: a second server is brought up to date.
func backupJoins(s *story) error {
	s.chapter("2. A backup joins")
	began := time.Now()
	if err := s.startServer("Bob"); err != nil {
		return err
	}
	if err := s.await("Bob is in sync", s.inSync("Ann", "Bob")); err != nil {
		return err
	}
	ann, bob := s.servers["Ann"].Status(), s.servers["Bob"].Status()
	s.tell("Bob was idle, so the next view names him backup; Ann sent him everything she holds")
	s.tell("after %s Bob has %d keys, and the log up to entry %d of %d: only now Ann acknowledges the view",
		since(began), bob.Keys, ann.BackupIndex, ann.Index)
	s.tellView()
	if bob.Keys != ann.Keys {
		return fmt.Errorf("expected Bob to hold Ann's %d keys, he holds %d", ann.Keys, bob.Keys)
	}
	s.tell("from here on every write is at both of them before the client hears of it")
	return nil
}

// primaryDies: the backup takes over, with every write that was answered.
func primaryDies(s *story) error {
	s.chapter("3. The primary dies")
	load := startLoad(s.monitor.Addr(), 4)
	defer load.stop()
	if err := s.await("the load is running", func() bool { return load.writes() > 200 }); err != nil {
		return err
	}
	s.tell("four clients are writing as fast as they can; Ann is killed in the middle of it")
	s.servers["Ann"].Kill()
	delete(s.servers, "Ann")
	before := load.writes()
	if err := s.await("Bob serves writes alone", func() bool {
		return s.role("Bob") == "primary" && load.writes() > before+200
	}); err != nil {
		return err
	}
	gap, err := load.stop()
	if err != nil {
		return err
	}
	s.tell("the view service heard no more of Ann and made Bob, who had everything, the primary")
	s.tellView()
	s.tell("the clients only saw a slow write: the longest took %s; %d writes were answered in all", gap.Round(time.Millisecond), load.writes())
	checked, err := load.check(s.client)
	if err != nil {
		return err
	}
	for i := range 2000 {
		if err := s.expect(key(i), value(i)); err != nil {
			return err
		}
	}
	s.tell("every one of them is there, once and in order (%d checked), and so are the 2000 keys from before", checked)
	return nil
}

// deadServerReturns: it has lost its memory, so it comes back as a backup.
func deadServerReturns(s *story) error {
	s.chapter("4. The dead server comes back")
	if err := s.startServer("Ann"); err != nil {
		return err
	}
	if err := s.await("Ann is in sync as backup", s.inSync("Bob", "Ann")); err != nil {
		return err
	}
	s.tell("Ann starts again with an empty memory; she is taken for a new server, and becomes the backup")
	s.tellView()
	s.client.Put("color", "blue")
	return s.expect("color", "blue")
}

// lastTwoDie: the data is gone with the last two, and nobody pretends otherwise.
func lastTwoDie(s *story) error {
	s.chapter("5. Both die, and a fresh server starts")
	s.tell("Bob and Ann are killed at once; their data was in memory only, so it is gone")
	for _, name := range []string{"Ann", "Bob"} {
		s.servers[name].Kill()
		delete(s.servers, name)
	}
	if err := s.startServer("Cid"); err != nil {
		return err
	}
	if err := s.await("the view service knows that the group is down", func() bool { return s.monitor.Status().Down }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	value, err := s.client.GetContext(ctx, "color")
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf(`expected the Get to wait until its deadline, got %q and error %v`, value, err)
	}
	s.tell("Cid is alive, but never had the data: making him primary would answer color with nothing")
	s.tell("so a Get waits (given up after half a second), and the status of the view service says why:")
	fmt.Printf("            | %s\n", s.byName(s.monitor.Status().Why))
	if role := s.role("Cid"); role == "primary" {
		return errors.New("expected Cid not to be promoted, he is primary")
	}
	s.tellView()
	return nil
}

func (s *story) chapter(title string) { fmt.Printf("\n%s\n", title) }

// tell prints a sentence of the story with the time since it began.
func (s *story) tell(format string, args ...any) {
	fmt.Printf("  %6dms  %s\n", time.Since(s.start).Milliseconds(), fmt.Sprintf(format, args...))
}

// tellView prints the view, by the servers' names.
func (s *story) tellView() {
	v := s.monitor.Status().View
	fmt.Printf("            > view %d: primary %s, backup %s\n", v.Viewnum, name(v.Primary), name(v.Backup))
}

func name(addr string) string {
	if addr == "" {
		return "nobody"
	}
	return filepath.Base(addr)
}

// byName shortens the addresses in a text to the servers' names.
func (s *story) byName(text string) string { return strings.ReplaceAll(text, s.dir+"/", "") }

func (s *story) addr(name string) string { return filepath.Join(s.dir, name) }

func (s *story) startServer(name string) error {
	server, err := kvservice.Start(s.monitor.Addr(), s.addr(name))
	if err != nil {
		return err
	}
	s.servers[name] = server
	return nil
}

func (s *story) role(name string) string { return s.servers[name].Status().Role }

// inSync tells whether primary and backup are those two and have the same.
func (s *story) inSync(primary, backup string) func() bool {
	return func() bool {
		p := s.servers[primary].Status()
		return p.BackupInSync && p.Active && p.View.Backup == s.addr(backup) && p.BackupIndex == p.Index
	}
}

// await polls a condition until it holds.
func (s *story) await(what string, holds func() bool) error {
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("expected within %s: %s; the view is %+v", patience, what, s.monitor.Status().View)
		}
	}
	return nil
}

// expect checks the value of a key.
func (s *story) expect(key, want string) error {
	if got := s.client.Get(key); got != want {
		return fmt.Errorf("expected %s = %q, got %q", key, want, got)
	}
	return nil
}

func key(i int) string   { return "key-" + strconv.Itoa(i) }
func value(i int) string { return "value-" + strconv.Itoa(i*i) }

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

// load is a number of clients, each appending numbers to a key of its own.
type load struct {
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	answered []int // by client: how many of its appends were answered
	gap      time.Duration
	err      error
}

func startLoad(monitorAddr string, clients int) *load {
	l := &load{answered: make([]int, clients)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for i := range clients {
		l.tasks.Go(func() { l.write(monitorAddr, i) })
	}
	return l
}

func (l *load) write(monitorAddr string, i int) {
	client := kvservice.MakeKVClient(monitorAddr)
	defer client.Close()
	for n := 0; l.ctx.Err() == nil; n++ {
		began := time.Now()
		err := client.AppendContext(context.Background(), loadKey(i), strconv.Itoa(n)+" ")
		took := time.Since(began)
		l.mu.Lock()
		if err != nil {
			l.err = err
			l.mu.Unlock()
			return
		}
		l.answered[i]++
		l.gap = max(l.gap, took)
		l.mu.Unlock()
	}
}

func (l *load) writes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, a := range l.answered {
		n += a
	}
	return n
}

// stop ends the load and returns the longest time that a write took.
func (l *load) stop() (time.Duration, error) {
	l.cancel()
	l.tasks.Wait()
	return l.gap, l.err
}

// check reads what the clients wrote: every number once, in order.
func (l *load) check(client *kvservice.KVClient) (int, error) {
	checked := 0
	for i, n := range l.answered {
		got := strings.Fields(client.Get(loadKey(i)))
		if len(got) != n {
			return checked, fmt.Errorf("expected %d appends of client %d, found %d", n, i, len(got))
		}
		for j, s := range got {
			if s != strconv.Itoa(j) {
				return checked, fmt.Errorf("expected append %d of client %d in its place, found %q", j, i, s)
			}
			checked++
		}
	}
	return checked, nil
}

func loadKey(i int) string { return "load-" + strconv.Itoa(i) }
