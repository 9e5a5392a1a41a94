package endtoend

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem/kvservice"
)

// hosts is a group on hosts, one for each process, under load.
type hosts struct {
	*group
	net     *network
	load    *load
	witness *witness
}

// TestHosts has hosts that are cut off from one another, in one direction or both,
// or vanish: who can take over does, nothing stale is served by who was cut off and
// does not know what happened, and when all is mended the group gets well.
func TestHosts(t *testing.T) {
	t.Parallel()
	if !inOwnNetwork(t) {
		return
	}
	for i, tc := range []struct {
		name string
		do   func(*hosts)
	}{
		{"primary cut off from all but clients", primaryCutOff},
		{"primary not heard by the backup", primaryNotHeardByBackup},
		{"backup not heard by the primary", backupNotHeardByPrimary},
		{"primary not heard by the view service", primaryNotHeardByMonitor},
		{"host of the primary vanishes", primaryVanishes},
		{"host of the view service vanishes", monitorVanishes},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHosts(t, i)
			tc.do(h)
			h.waitWell()
			h.witness.stop()
			h.load.finish()
		})
	}
}

// newHosts starts a group on hosts. Servers listen everywhere, and are known by the
// addresses of their hosts.
func newHosts(t *testing.T, number int) *hosts {
	t.Helper()
	h := &hosts{net: newNetwork(t, number, append([]string{monitorName}, servers...)...)}
	places := make(map[string]*place)
	for name, host := range h.net.hosts {
		places[name] = &place{enter: host.enter, listen: "0.0.0.0:7000", advertise: host.addr + ":7000"}
	}
	h.group = newGroupAt(t, places)
	h.load = h.startLoad(4, false)
	h.witness = h.startWitness()
	h.load.progress(100)
	h.witness.grows()
	return h
}

// between does something to both directions of the paths between a host and others.
func (h *hosts) between(do func(from, to string), name string, others ...string) {
	for _, other := range others {
		do(name, other)
		do(other, name)
	}
}

// waitTakeOver waits until the backup is the primary, and serves.
func (h *hosts) waitTakeOver(before roles) {
	h.t.Helper()
	h.wait("the backup to take over", func() bool {
		now, _ := h.roles()
		return now.view > before.view && now.primary == before.backup
	})
	h.witness.grows()
	h.load.progress(50)
}

// A primary that nobody can tell what happened, and that every client can ask,
// answers none of them: it waits for what will not come (R2).
func primaryCutOff(h *hosts) {
	before := h.waitWell()
	others := []string{monitorName, before.backup, before.idle[0]}
	h.between(h.net.cut, before.primary, others...)
	h.waitTakeOver(before)
	asker := h.witness.askers[before.primary]
	asker.asks(20)
	h.wait("the old primary to have read what it was asked", func() bool {
		st, err := kvservice.ReadStatus(h.t.Context(), h.places[before.primary].reach())
		return err == nil && st.View.Viewnum == before.view && st.Waiting >= 20 || h.t.Failed()
	})
	fresh := asker.fresh.Load()
	asker.asks(20)
	require.Equal(h.t, fresh, asker.fresh.Load(), "it cannot know what is fresh")
	h.between(h.net.heal, before.primary, others...)
	answered := asker.answers()
	h.wait("the old primary to answer", func() bool { return asker.answers() >= answered+20 })
}

// One whom the primary cannot reach, or cannot hear, is reported by it (V8), and
// another is its backup: nothing waits for the one who is lost.
func primaryNotHeardByBackup(h *hosts) {
	before := h.waitWell()
	h.backupReplaced(before, before.primary, before.backup)
}

func backupNotHeardByPrimary(h *hosts) {
	before := h.waitWell()
	h.backupReplaced(before, before.backup, before.primary)
}

func (h *hosts) backupReplaced(before roles, from, to string) {
	h.net.cut(from, to)
	h.wait("another backup", func() bool {
		now, well := h.roles()
		return well && now.primary == before.primary && now.backup == before.idle[0]
	})
	h.witness.grows()
	h.load.progress(50)
	h.net.heal(from, to)
}

// The primary is heard by clients and by its backup, but its pings are lost.
func primaryNotHeardByMonitor(h *hosts) {
	before := h.waitWell()
	h.net.cut(before.primary, monitorName)
	h.waitTakeOver(before)
	h.witness.askers[before.primary].asks(20)
	h.net.heal(before.primary, monitorName)
}

// Nobody's connection to it ends: that it is gone shows by the pings that do not come.
func primaryVanishes(h *hosts) {
	before := h.waitWell()
	h.net.unplug(before.primary)
	h.waitTakeOver(before)
	h.net.plug(before.primary)
}

// Without the view service, servers and clients go on with the view that they hold.
func monitorVanishes(h *hosts) {
	h.waitWell()
	h.net.unplug(monitorName)
	h.witness.grows()
	h.load.progress(300)
	h.net.plug(monitorName)
}
