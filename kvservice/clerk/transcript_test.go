package clerk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

// TestTranscripts runs exchanges of one clerk with servers and a view service
// that are played by hand. Each command prints the effects it had.
//
//	clerk [attempt=TICKS] [doubt=TICKS] [sessions=N] [seed=N]   a new clerk
//	start ID put|puthash|append|delete KEY VALUE
//	start ID get KEY
//	start ID scan PREFIX [of=SCAN after=KEY from=ADDR cluster=N]
//	cancel ID
//	close
//	opened CALL session=N                         a reply to an OpenSession
//	put CALL [err=CODE] [outcome=ran|not] [previous=V]
//	get CALL [err=CODE] [value=V]
//	page CALL [err=CODE] [more=SCAN]
//	failed CALL [unsent]
//	view N primary=ADDR [incarnation=N] [cluster=N] | err=CODE
//	viewfailed
//	tick [N]
//	stats
//
// CALL is a call's number; or rID, the present call of a request; or open, that
// of the first session being opened.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		s := &stage{}
		s.reset(Config{})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return s.step(t, d)
		})
	})
}

type stage struct {
	clerk *Clerk
	out   strings.Builder
	rules []string // seen since the last step
}

func (s *stage) reset(config Config) {
	config.Observe = func(o tandem.Observation) { s.rules = append(s.rules, o.Rule) }
	s.clerk = New(config)
}

func (s *stage) step(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	s.act(t, d)
	s.carryOut()
	checkClerk(t, s.clerk)
	require.True(t, s.clerk.Clone().Equal(s.clerk))
	if s.out.Len() == 0 {
		return "nothing"
	}
	return s.out.String()
}

func (s *stage) act(t *testing.T, d *datadriven.TestData) {
	text := func(key string) (v string) { d.MaybeScanArgs(t, key, &v); return v }
	number := func(key string) (n uint64) { d.MaybeScanArgs(t, key, &n); return n }
	arg := func(i int) string {
		if i < len(d.CmdArgs) {
			return d.CmdArgs[i].Key
		}
		return ""
	}
	first := func() (n uint64) {
		_, err := fmt.Sscan(arg(0), &n)
		require.NoError(t, err)
		return n
	}
	call := func() CallID {
		for r := range s.clerk.inOrder() {
			if r.call != 0 && (r.kind == open && arg(0) == "open" || r.kind != open && arg(0) == fmt.Sprint("r", r.id)) {
				return r.call
			}
		}
		return CallID(first())
	}
	code := tandem.Err(text("err"))
	switch d.Cmd {
	case "clerk":
		s.reset(Config{
			AttemptTicks: int(number("attempt")), DoubtTicks: int(number("doubt")), MaxSessions: int(number("sessions")),
			Seed: number("seed"), Group: uint32(number("group")),
		})
	case "start":
		s.clerk.Start(RequestID(first()), s.request(t, arg(1), arg(2), arg(3), text, number))
	case "cancel":
		s.clerk.Cancel(RequestID(first()))
	case "close":
		s.clerk.Close()
	case "opened":
		s.clerk.PutReplied(call(), &tandem.PutReply{Err: tandem.OK, Session: number("session"), Outcome: tandem.DidRun})
	case "put":
		outcome := map[string]tandem.Outcome{"ran": tandem.DidRun, "not": tandem.DidNotRun}[text("outcome")]
		s.clerk.PutReplied(call(), &tandem.PutReply{Err: code, PreviousValue: text("previous"), Outcome: outcome})
	case "get":
		s.clerk.GetReplied(call(), &tandem.GetReply{Err: code, Value: text("value")})
	case "page":
		more := number("more")
		s.clerk.ScanReplied(call(), &tandem.ScanReply{Err: code, Scan: more, More: more != 0})
	case "failed":
		s.clerk.Failed(call(), arg(1) != "unsent")
	case "view":
		reply := tandem.ViewReply{Err: code}
		if code == "" {
			reply.View = tandem.View{
				Viewnum: uint(first()), Primary: text("primary"),
				PrimaryIncarnation: number("incarnation"), Cluster: number("cluster"),
			}
		}
		s.clerk.ViewReplied(&reply)
	case "viewfailed":
		s.clerk.ViewFailed()
	case "tick":
		n := uint64(1)
		if len(d.CmdArgs) > 0 {
			n = first()
		}
		for i := range n {
			s.clerk.Tick()
			s.carryOut(fmt.Sprintf("tick %d: ", i+1))
		}
	case "rules":
		fmt.Fprintf(&s.out, "%s\n", strings.Join(slices.Compact(s.rules), " "))
		s.rules = nil
	case "stats":
		fmt.Fprintf(&s.out, "%+v\n", s.clerk.Stats())
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
}

func (s *stage) request(t *testing.T, what, key, value string, text func(string) string, number func(string) uint64) Request {
	switch what {
	case "get":
		return Request{Get: &tandem.GetArgs{Key: key}}
	case "scan":
		return Request{
			Scan:   &tandem.ScanArgs{Prefix: key, Scan: number("of"), After: text("after")},
			Origin: Origin{Addr: text("from"), Cluster: number("cluster")},
		}
	case "none":
		return Request{}
	case "both":
		return Request{Get: &tandem.GetArgs{}, Put: &tandem.PutArgs{}}
	}
	for op := tandem.OpPut; op <= tandem.OpOpenSession; op++ {
		if strings.EqualFold(op.String(), what) {
			return Request{Put: &tandem.PutArgs{Op: op, Key: key, Value: value}}
		}
	}
	t.Fatalf("unknown request %s", what)
	return Request{}
}

// carryOut prints the effects.
func (s *stage) carryOut(prefix ...string) {
	line := func(format string, args ...any) {
		fmt.Fprintf(&s.out, strings.Join(prefix, "")+format+"\n", args...)
	}
	out := s.clerk.Take()
	for _, call := range out.Calls {
		var what string
		var target tandem.Target
		switch {
		case call.Put != nil && call.Put.Op == tandem.OpOpenSession:
			what, target = "OpenSession", call.Put.Target
		case call.Put != nil:
			what = fmt.Sprintf("%v %s %s, session %d number %d", call.Put.Op, call.Put.Key, call.Put.Value, call.Put.Session, call.Put.Number)
			target = call.Put.Target
		case call.Get != nil:
			what, target = "Get "+call.Get.Key, call.Get.Target
		case call.Scan != nil:
			what = fmt.Sprintf("Scan %q of %d after %q", call.Scan.Prefix, call.Scan.Scan, call.Scan.After)
			target = call.Scan.Target
		}
		line("call %d to %s: %s (view %d, cluster %d, group %d)", call.ID, call.Addr, what, target.Viewnum, target.Cluster, target.Group)
	}
	for _, id := range out.Abandon {
		line("abandon call %d", id)
	}
	for _, ask := range out.Ask {
		line("ask for a view above %d of cluster %d, group %d", ask.Viewnum, ask.Cluster, ask.Group)
	}
	for _, d := range out.Done {
		what := "ok"
		if d.Err != nil {
			what = d.Err.Error()
		}
		for _, err := range []error{ErrCanceled, ErrClosed, ErrSessionLost} {
			if errors.Is(d.Err, err) {
				what += " [" + err.Error() + "]"
			}
		}
		for _, v := range []string{d.Get.Value, d.Put.PreviousValue} {
			if v != "" {
				what += " " + v
			}
		}
		if d.Origin != (Origin{}) {
			what += fmt.Sprintf(" from %s, cluster %d", d.Origin.Addr, d.Origin.Cluster)
		}
		line("request %d done: %s; %v", d.ID, what, d.Outcome)
	}
}

// checkClerk asserts the arithmetic of Clerk's comment.
func checkClerk(t require.TestingT, c *Clerk) {
	owned, opening, byID := 0, 0, 0
	calls := map[CallID]bool{}
	last := uint64(0)
	var before *request
	for r := range c.inOrder() {
		require.Less(t, last, r.place)
		last = r.place
		require.Same(t, before, r.prev)
		before = r
		if r.kind == open {
			opening++
		} else {
			byID++
			require.Same(t, r, c.requests.Get(r.id))
		}
		waits := slices.Contains(c.waiting, r)
		require.Equal(t, r.kind == update && r.session == nil, waits)
		if r.session != nil {
			owned++
			require.Same(t, r.session, c.sessions[r.session.id])
			require.Same(t, r, r.session.owner, "rule C3")
		}
		if r.call != 0 {
			calls[r.call] = true
			require.Same(t, r, c.calls.Get(r.call))
			require.Positive(t, r.sent)
			require.Zero(t, r.wait)
		}
		// P1: whatever is not under way has something to wait for.
		require.True(t, r.call != 0 || r.wait > 0 || waits || c.ask.underway || c.ask.wait > 0,
			"request %d (kind %d) is forgotten", r.id, r.kind)
	}
	require.Equal(t, len(calls), c.calls.Len())
	require.Same(t, before, c.last)
	require.Equal(t, byID, c.requests.Len())
	require.Equal(t, opening, c.opening)
	require.True(t, slices.IsSortedFunc(c.waiting, inPlace), "first come, first served")
	require.Len(t, c.sessions, owned+len(c.free))
	require.LessOrEqual(t, len(c.sessions)+c.opening, c.config.MaxSessions, "rule C3")
	for i, s := range c.free {
		require.Nil(t, s.owner)
		require.Same(t, s, c.sessions[s.id])
		require.False(t, slices.Contains(c.free[i+1:], s))
	}
	if len(c.waiting) > 0 {
		require.Empty(t, c.free)
		require.True(t, c.opening > 0 || len(c.sessions) == c.config.MaxSessions, "updates wait for nothing")
	}
}
