package simulation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
	"github.com/tandemkv/tandem/sysmonitor/view"
)

// The scenarios are played by hand in a world without faults of its own. The
// invariants are looked at after every event all the same.

// scene is a world and what its tests keep asking of it.
type scene struct {
	*World
	t *testing.T
}

// sceneOptions are those of the scenes: nothing goes wrong of itself.
func sceneOptions(servers int) Options {
	return Options{
		Seed: 1, Servers: servers, Clients: 2, Keys: 2, TickMillis: 10, ThinkMillis: 1, PollMillis: 200,
		LatencyMillis: 2, Watch: true,
		Replica: replica.Config{ChunkBytes: 40, ChunkWindow: 1, UnreachableTicks: 30},
		View:    view.Config{TicksPerPing: 10},
		Clerk:   clerk.Config{AttemptTicks: 50},
	}
}

// play runs a scene with so many servers and two clients, from the moment at
// which a primary and its backup are in sync (or, with one server, it serves).
func play(t *testing.T, servers int, do func(s *scene), change ...func(*Options)) {
	o := sceneOptions(servers)
	for _, c := range change {
		c(&o)
	}
	s := &scene{New(o), t}
	f := s.Try(func() {
		if servers > 1 {
			require.True(t, s.RunUntil(s.settled, 5000), "a primary and a backup in sync")
		} else {
			require.True(t, s.RunUntil(func() bool { return s.servers[0].status.Authority == replica.Solo }, 5000))
		}
		do(s)
		s.Judge()
	})
	if f != nil {
		t.Errorf("\n%s", f.Story())
	}
}

// roles returns the primary and the backup of the present view.
func (s *scene) roles() (primary, backup *server) {
	v, _ := s.monitor.core.View()
	return s.find(v.PrimaryServer()), s.find(v.BackupServer())
}

// start makes a client start an operation and returns its place in the history.
func (s *scene) start(client int, in Input) int {
	c := s.clients[client]
	require.Negative(s.t, c.running, "one operation at a time")
	c.begin(in)
	return len(s.history) - 1
}

func (s *scene) done(op int) func() bool {
	return func() bool { return s.history[op].Verdict != Running }
}

// do makes a client do an operation, within so many milliseconds.
func (s *scene) do(client int, in Input, millis int64) Operation {
	op := s.start(client, in)
	require.True(s.t, s.RunUntil(s.done(op), millis), "%s within %d ms", describe(in, Output{Unknown: true}), millis)
	require.Equal(s.t, Done, s.history[op].Verdict, s.history[op].Err)
	return s.history[op]
}

func (s *scene) cutBoth(a, b int) {
	s.Cut(a, b)
	s.Cut(b, a)
}

func put(value string) Input { return Input{Kind: Put, Key: "k0", Value: value} }

var get = Input{Kind: Get, Key: "k0"}

// TestOldPrimaryServesNothingStale is R2: the primary is cut off from the view
// service and from its backup, a read is late on its way to it, and meanwhile
// the backup has been promoted and has taken a write.
func TestOldPrimaryServesNothingStale(t *testing.T) {
	for _, heirDies := range []bool{false, true} {
		play(t, 2, func(s *scene) {
			s.do(0, put("old"), 1000)
			s.do(1, get, 1000) // it knows the view
			old, heir := s.roles()
			s.Hold(func(_, to int, b *body) bool { return b.Kind == getArgs && to == old.node })
			read := s.start(1, get)
			s.cutBoth(monitorNode, old.node)
			s.cutBoth(heir.node, old.node)
			s.cutBoth(monitorNode, s.clients[1].node) // nor does the reader hear of the news
			s.do(0, put("new"), 5000)
			require.Equal(t, replica.Joint, old.status.Authority, "the old primary knows nothing")
			if heirDies {
				s.Crash(heir.node)
			}
			s.Hold(nil)
			s.Release()
			require.False(t, s.RunUntil(s.done(read), 3000), "nobody may answer the read: %+v", s.history[read])
			s.net.mend()
			if heirDies {
				require.False(t, s.RunUntil(s.done(read), 3000), "nobody is left who could answer: %+v", s.history[read])
				require.True(t, s.monitor.core.Status().Down)
				return
			}
			require.True(t, s.RunUntil(s.done(read), 3000))
			require.Equal(t, "new", s.history[read].Output.Value)
		})
	}
}

// TestUnreachableBackupIsReplaced is V8, A5: the view service hears both, and
// only the primary knows that it cannot reach its backup.
func TestUnreachableBackupIsReplaced(t *testing.T) {
	for _, servers := range []int{2, 3} {
		play(t, servers, func(s *scene) {
			s.do(0, put("1"), 1000)
			p, b := s.roles()
			s.cutBoth(p.node, b.node)
			s.do(0, Input{Kind: Append, Key: "k0", Value: "2"}, 3000)
			require.Equal(t, "12", s.do(1, get, 1000).Output.Value)
			if servers > 2 {
				require.True(t, s.RunUntil(s.settled, 5000))
				_, now := s.roles()
				require.NotSame(t, b, now, "another backup")
			}
		})
	}
}

// TestWritesGoOnDuringATransfer is A3: with the transfer held half-way, and the
// one before it active, no write waits for it.
func TestWritesGoOnDuringATransfer(t *testing.T) {
	play(t, 2, func(s *scene) {
		for i := range 10 {
			s.do(0, Input{Kind: Append, Key: key(i % 2), Value: "0123456789"}, 1000)
		}
		p, b := s.roles()
		s.Crash(b.node)
		s.do(0, put("alone"), 3000)
		chunks := 0
		s.Hold(func(_, _ int, m *body) bool {
			if m.Kind == peerMessage && m.Peer.Kind == replica.Chunk {
				chunks++
				return chunks > 2
			}
			return false
		})
		s.Restart(b.node)
		require.True(t, s.RunUntil(func() bool { return chunks > 3 }, 5000), "a transfer, half-way")
		for range 20 {
			s.do(0, Input{Kind: Append, Key: "k0", Value: "."}, 50)
		}
		require.True(t, p.status.TransferRunning)
		require.Equal(t, replica.Solo, p.status.Authority)
		s.Hold(nil)
		s.Release()
		require.True(t, s.RunUntil(s.settled, 5000))
		require.Equal(t, "alone....................", s.do(1, get, 1000).Output.Value)
		// The backup holds it all: it can follow.
		s.Crash(p.node)
		require.Equal(t, "alone....................", s.do(1, get, 3000).Output.Value)
	}, func(o *Options) { o.Replica.UnreachableTicks = 1000 })
}

// TestRetryAfterItsSessionExpired is S3, S4, S5: the request ran and the reply
// was lost. The retry is refused and not run again, and the client is told that
// the outcome is unknown.
func TestRetryAfterItsSessionExpired(t *testing.T) {
	play(t, 2, func(s *scene) {
		s.do(0, put("x"), 1000)
		s.Hold(func(_, to int, b *body) bool {
			return b.Kind == putReply && to == s.clients[0].node && b.PutReply.Err == "OK"
		})
		op := s.start(0, Input{Kind: Append, Key: "k0", Value: "y"})
		s.RunFor(100)
		require.Equal(t, "xy", s.do(1, get, 1000).Output.Value, "it ran")
		// Its retries are held back until the session has expired.
		s.Hold(func(from, _ int, b *body) bool {
			return from == s.clients[0].node && b.Kind == putArgs || b.Kind == putReply && b.PutReply.Err == "OK"
		})
		require.True(t, s.RunUntil(func() bool { return s.cover.Counts[Expiries] > 0 }, 5000))
		s.Hold(nil)
		require.True(t, s.RunUntil(s.done(op), 5000))
		require.Equal(t, Unknown, s.history[op].Verdict)
		require.Contains(t, s.history[op].Err, "session lost")
		require.Equal(t, "xy", s.do(1, get, 1000).Output.Value, "once")
	}, func(o *Options) {
		o.Limits.SessionTTLMillis = 1000
		o.Limits.ExpireEveryMillis = 100
	})
}

// TestPutRightAfterADeath is the lab's: whoever dies, the next write comes
// through, and nothing is lost.
func TestPutRightAfterADeath(t *testing.T) {
	for _, primaryDies := range []bool{false, true} {
		play(t, 3, func(s *scene) {
			for i := range 6 {
				s.do(0, Input{Kind: Append, Key: "k0", Value: string(rune('a' + i))}, 1000)
				p, b := s.roles()
				if primaryDies {
					b = p
				}
				s.Crash(b.node)
				s.do(1, Input{Kind: Append, Key: "k0", Value: string(rune('A' + i))}, 5000)
				s.Restart(b.node)
				require.True(t, s.RunUntil(s.settled, 5000))
			}
			require.Equal(t, "aAbBcCdDeEfF", s.do(0, get, 1000).Output.Value)
		})
	}
}

// TestUninitialisedServerIsNeverPromoted is V5, V9, I2.
func TestUninitialisedServerIsNeverPromoted(t *testing.T) {
	play(t, 2, func(s *scene) {
		s.do(0, put("x"), 1000)
		p, b := s.roles()
		s.Crash(b.node)
		s.do(0, put("y"), 5000) // the primary is alone
		s.Crash(p.node)
		s.Restart(b.node)
		s.Restart(p.node)
		read := s.start(1, get)
		require.False(t, s.RunUntil(s.done(read), 5000), "nobody holds the data: %+v", s.history[read])
		require.True(t, s.monitor.core.Status().Down)
	})
}

// TestNoFaultsNoRewinds is L1: what is pipelined in order and not disturbed is
// never sent again.
func TestNoFaultsNoRewinds(t *testing.T) {
	play(t, 2, func(s *scene) {
		for i := range 100 {
			a := s.start(0, Input{Kind: Append, Key: key(i % 2), Value: "a"})
			b := s.start(1, Input{Kind: PutHash, Key: key(i % 2), Value: "b"})
			require.True(t, s.RunUntil(func() bool { return s.done(a)() && s.done(b)() }, 1000))
		}
		for _, k := range s.servers {
			require.Zero(t, k.status.Stats.Rewinds)
			require.Zero(t, k.status.Stats.Resends)
		}
	})
}

// TestDepartureIsNotNoticed is V11: whoever leaves, requests go on, and nobody
// is told of an unknown outcome.
func TestDepartureIsNotNoticed(t *testing.T) {
	for _, primaryLeaves := range []bool{false, true} {
		play(t, 3, func(s *scene) {
			p, b := s.roles()
			if primaryLeaves {
				b = p
			}
			op := s.start(0, put("x"))
			s.Leave(b.node)
			require.True(t, s.RunUntil(s.done(op), 1000))
			require.True(t, s.RunUntil(func() bool { return !b.up() || s.cover.Counts[Left] > 0 }, 3000), "it leaves")
			require.Equal(t, "x", s.do(1, get, 300).Output.Value)
			require.Zero(t, s.cover.Counts[UnknownOutcomes])
		})
	}
}
