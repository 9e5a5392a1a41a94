//go:build unix

package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
)

// kill -9 of whoever holds a role, under load: nothing that was acknowledged is
// lost, and the group is well again, without the dead if it has to, and with who
// comes in its place.
func TestKillInEveryRole(t *testing.T) {
	t.Parallel()
	g := newGroup(t, patient...)
	l := g.startLoad(6, false)
	for range 2 {
		for _, role := range []struct {
			name string
			of   func(roles) string
		}{
			{"primary", func(r roles) string { return r.primary }},
			{"backup", func(r roles) string { return r.backup }},
			{"idle server", func(r roles) string { return r.idle[0] }},
		} {
			before := g.waitWell()
			victim := role.of(before)
			l.progress(50)
			g.crash(victim)
			l.progress(50)
			after := g.waitWell() // with two servers
			t.Logf("%s %s killed in view %d; view %d is well", role.name, victim, before.view, after.view)
			if role.name == "idle server" {
				require.Equal(t, before.view, after.view, "an idle server holds no role that another must take")
			} else {
				require.Greater(t, after.view, before.view)
			}
			g.start(victim)
			require.Equal(t, after.primary, g.waitWell().primary, "who comes back takes nothing over")
		}
		g.kill(monitorName)
		l.progress(50)
		g.start(monitorName)
		g.waitWell()
	}
	l.finish()
}

// While the view service is away, data operations go on, since servers and clients
// hold the view; and when it is back with its data nothing changes.
func TestMonitorAwayUnderLoad(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	l := g.startLoad(6, false)
	for range 2 {
		l.progress(100) // the clients have heard of the view
		before := g.waitWell()
		g.kill(monitorName)
		away := time.Now()
		// Longer than it takes for a silent server to be taken for dead.
		for time.Since(away) < 2*deadTime {
			l.progress(20)
		}
		g.start(monitorName)
		back := time.Now()
		require.Equal(t, before, g.waitWell(), "the view service is back")
		for time.Since(back) < 2*deadTime { // it has had the time to take somebody for dead
			l.progress(20)
		}
		require.Equal(t, before, g.waitWell(), "the view service is back for a while")
	}

	r := g.killMonitorInSync()
	l.progress(50)
	g.kill(r.primary) // nobody changes the view, and so the backup has all of it (A5)
	g.start(monitorName)
	g.wait("the backup to take over", func() bool {
		now, _ := g.roles()
		return now.primary == r.backup
	})
	l.progress(50)
	g.start(r.primary)
	l.finish()
}

// killMonitorInSync kills the view service at a moment when the primary has a backup
// in sync, and returns who is what.
func (g *group) killMonitorInSync() (r roles) {
	g.t.Helper()
	g.wait("the view service to be killed in a view with a backup in sync", func() bool {
		r = g.waitWell()
		g.kill(monitorName)
		st, err := kvservice.ReadStatus(g.t.Context(), g.places[r.primary].reach())
		require.NoError(g.t, err)
		if st.View.Viewnum == r.view && st.Active && st.BackupInSync {
			return true
		}
		g.start(monitorName) // the view has changed since it was looked at
		return false
	})
	return r
}

// A restart of one server after the other, as for a new version, is noticed by no
// client.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	g := newGroup(t, patient...)
	l := g.startLoad(16, true)
	for range 2 {
		for _, name := range servers {
			g.waitWell()
			l.progress(50)
			g.terminate(name)
			l.progress(50)
			g.start(name)
		}
	}
	l.finish()
	n := l.history.Counts()
	require.Zero(t, n.Failed+n.Unknown, "of %d operations", n.All())
}
