package torture

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tandemkv/tandem/internal/paths"
	"github.com/tandemkv/tandem/internal/workload"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
	"github.com/tandemkv/tandem/sysmonitor"
)

// The runs themselves are tested where the binary is: in cmd/tandem.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func good(t *testing.T) Config {
	return Config{Binary: "tandem", Dir: t.TempDir(), Duration: time.Second, Servers: 3, Clients: 4}
}

func TestConfigIsChecked(t *testing.T) {
	cfg := good(t)
	require.NoError(t, cfg.Check())
	for says, change := range map[string]func(*Config){
		"no binary":                      func(c *Config) { c.Binary = "" },
		"duration -1s":                   func(c *Config) { c.Duration = -time.Second },
		"1 servers: must be from 2 to 9": func(c *Config) { c.Servers = 1 },
		"10 servers":                     func(c *Config) { c.Servers = 10 },
		"2 clients":                      func(c *Config) { c.Clients = 2 },
		"65 clients":                     func(c *Config) { c.Clients = 65 },
		`no fault "rain": there are kill, kill-monitor, freeze`: func(c *Config) { c.Faults = []string{"kill", "rain"} },
	} {
		cfg := good(t)
		change(&cfg)
		require.ErrorContains(t, cfg.Check(), says)
		_, err := Run(t.Context(), cfg)
		require.ErrorContains(t, err, says)
	}
}

func TestEveryKindIsDrawnByItsName(t *testing.T) {
	cfg := good(t)
	for _, f := range Faults() {
		require.NotEmpty(t, f.About)
		cfg.Faults = append(cfg.Faults, f.Name, f.Name)
	}
	kinds, err := cfg.kinds()
	require.NoError(t, err)
	require.Equal(t, allKinds, kinds)

	r := &run{kinds: kinds, rng: rand.New(rand.NewPCG(1, 1))}
	drawn, weights := make(map[*kind]int), 0
	for range 10_000 {
		drawn[r.drawKind()]++
	}
	for _, k := range kinds {
		weights += k.weight
	}
	for _, k := range kinds {
		require.InDelta(t, 10_000*k.weight/weights, drawn[k], 200, k.name)
	}
}

func TestProcessesThatCannotBeStarted(t *testing.T) {
	cfg := good(t)
	cfg.Binary = filepath.Join(cfg.Dir, "nothing")
	_, err := Run(t.Context(), cfg)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "monitor: start "+cfg.Binary)

	cfg.Dir = filepath.Join(cfg.Dir, "nowhere")
	_, err = Run(t.Context(), cfg)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "clients.log")
}

// A path that two faults cut is whole again when both have ended.
func TestCutsOfOnePathAdd(t *testing.T) {
	r := &run{group: &group{network: paths.New()}, cuts: make(map[way]int)}
	defer r.group.network.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	r.group.network.Target("b", l.Addr().String())

	r.cut("a", "b")
	r.cut("a", "b")
	dialled, err := r.group.network.Dialer("a")(t.Context(), "tcp", "b")
	require.NoError(t, err)
	defer dialled.Close()
	r.heal("a", "b")
	require.NoError(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = l.Accept()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	r.heal("a", "b")
	require.NoError(t, l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	arrived, err := l.Accept()
	require.NoError(t, err)
	arrived.Close()
}

func TestFaultsEndInTheirTime(t *testing.T) {
	r := &run{ctx: t.Context(), history: workload.NewHistory()}
	var ended []string
	may := false
	at := func(name string) func() { return func() { ended = append(ended, name) } }
	r.lasts(&kind{name: "soon"}, "a", 0, at("soon"))
	r.lasts(&kind{name: "later"}, "b", time.Hour, at("later"))
	r.lastsUntil(&kind{name: "waits"}, "c", 0, func() bool { return may }, at("waits"))
	due := time.Now().Add(time.Minute)
	r.end(func(e ending) bool { return e.at.Before(due) })
	require.Equal(t, []string{"soon"}, ended)
	require.Len(t, r.timeline, 1)
	require.Equal(t, "soon", r.timeline[0].Kind)
	require.Equal(t, "a", r.timeline[0].What)
	require.GreaterOrEqual(t, r.timeline[0].To, r.timeline[0].From)

	// What has to wait for something has it when all others have ended.
	r.lasting[0].do = func() { at("later")(); may = true }
	r.healAll(t.Context())
	require.Equal(t, []string{"soon", "later", "waits"}, ended)
	require.Empty(t, r.lasting)
	require.Empty(t, r.violations())
}

func TestAnErrorOfAClientIsAViolation(t *testing.T) {
	r := new(run)
	var words strings.Builder
	log := slog.New(&watchful{slog.NewTextHandler(&words, nil), r}).With("client", "client-1")
	log.Warn("trouble")
	require.Empty(t, r.violations())
	log.Error("closing", "invariant", "S1")
	require.Equal(t, []string{"a client: closing invariant=S1"}, r.violations())
	require.Contains(t, words.String(), "client=client-1 invariant=S1")
}

// finished makes a run that is over, with one operation that was answered.
func finished(t *testing.T) *run {
	t.Helper()
	m, err := sysmonitor.Start("127.0.0.1:0")
	require.NoError(t, err)
	defer m.Kill()
	s, err := kvservice.Start(m.Addr(), "127.0.0.1:0")
	require.NoError(t, err)
	defer s.Kill()
	k := kvservice.MakeKVClient(m.Addr())
	defer k.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := &run{ctx: t.Context(), cfg: good(t), began: time.Now(), history: workload.NewHistory()}
	op := r.history.Do(ctx, k, 0, simulation.Input{Kind: simulation.Put, Key: "k", Value: "v"})
	require.Equal(t, simulation.Done, op.Verdict, op.Err)
	return r
}

func TestVerdicts(t *testing.T) {
	valid := workload.Judgement{Verdict: workload.Valid, Keys: 1, Judged: 1}
	for _, tc := range []struct {
		name   string
		change func(*run, *workload.Judgement)
		want   workload.Verdict
		why    string
	}{
		{"all is well", func(*run, *workload.Judgement) {}, workload.Valid, ""},
		{"a process ended", func(r *run, _ *workload.Judgement) { r.violate("server-1 has ended") }, workload.Invalid, "server-1 has ended"},
		{"interrupted", func(r *run, _ *workload.Judgement) { r.cutShortBy("it was interrupted") }, workload.Unknown, "it was interrupted"},
		{"the torture failed", func(r *run, _ *workload.Judgement) { r.must(errors.New("no more processes")) }, workload.Unknown, "no more processes"},
		{"not linearizable, and interrupted", func(r *run, j *workload.Judgement) {
			r.cutShortBy("it was interrupted")
			j.Verdict, j.Bad = workload.Invalid, []workload.BadKey{{Key: "k", Result: porcupine.Illegal}}
		}, workload.Invalid, "the history of k is not linearizable"},
		{"lost", func(_ *run, j *workload.Judgement) {
			j.Verdict, j.Witnessed.Lost = workload.Invalid, 1
		}, workload.Invalid, "writes were lost"},
		{"nobody can tell", func(_ *run, j *workload.Judgement) {
			j.Verdict, j.Bad = workload.Unknown, []workload.BadKey{{Key: "k", Result: porcupine.Unknown}}
		}, workload.Unknown, "the checker cannot tell in time whether the history of k is linearizable"},
		{"nothing was answered", func(r *run, _ *workload.Judgement) { r.history = workload.NewHistory() }, workload.Unknown, "no operation was answered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, j := finished(t), valid
			tc.change(r, &j)
			rep := r.report(j)
			require.Equal(t, tc.want, rep.Verdict)
			if tc.why == "" {
				require.Empty(t, rep.Why)
			} else {
				require.Contains(t, strings.Join(rep.Why, "\n"), tc.why)
			}
		})
	}
}

func TestGapsAreToldWithWhatWasOn(t *testing.T) {
	const s = time.Second
	r := &run{timeline: []Struck{
		{0, 1 * s, "kill", "over before"},
		{4 * s, 5 * s, "cut", "for a second"},
		{3 * s, 9 * s, "freeze", "all the time"},
		{2 * s, 2500 * time.Millisecond, "reset", "just before"},
		{8 * s, 9 * s, "leave", "after it"},
	}}
	require.Equal(t, Gap{AtMillis: 3000, Millis: 4000, Faults: []string{"freeze: all the time", "cut: for a second", "reset: just before"}},
		r.gap(workload.Gap{From: 3 * s, To: 7 * s}))
	require.Equal(t, Gap{Faults: []string{}}, new(run).gap(workload.Gap{}))
}
