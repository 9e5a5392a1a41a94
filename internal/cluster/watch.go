package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/sysmonitor"
)

const (
	// watchPause is how often the view service is asked what else has changed when
	// there is no new view; activePause, while a view is to become active.
	watchPause  = 250 * time.Millisecond
	activePause = 25 * time.Millisecond
	// watchPatience bounds one question to it.
	watchPatience = 3 * time.Second
	// silencePatience is how long it may be silent before that is told: it is
	// started again in less.
	silencePatience = 2 * time.Second
	// namePatience bounds the wait for the ready line of a server that is named in
	// a view already.
	namePatience = time.Second
)

// watcher asks the view service for what has changed, and tells it.
type watcher struct {
	s      *Supervisor
	client *sysmonitor.Client
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once

	// What follows belongs to run.
	view, active uint      // of the last change that was told
	unnamed      time.Time // since when a view has a server without a name
	down         bool      // as last told
	pending      bool      // the view is not active yet
	heard        time.Time // when the view service answered last
	silent       bool      // that it does not was told
}

// watch starts a watcher, to be stopped.
func watch(s *Supervisor, monitor string) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{s: s, client: sysmonitor.MakeClient("up", monitor), cancel: cancel, done: make(chan struct{}), heard: time.Now()}
	go w.run(ctx)
	return w
}

// stop ends the watcher. Any number of calls is fine.
func (w *watcher) stop() {
	w.once.Do(func() {
		w.cancel()
		<-w.done
		w.client.Close()
	})
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	for ctx.Err() == nil {
		began, pause := time.Now(), watchPause
		if w.pending {
			pause = activePause
		}
		answered := w.look(ctx, pause)
		if ctx.Err() != nil {
			return
		}
		w.tellSilence(answered)
		// The question waits by itself for a view, but a view service that refuses
		// answers at once, as does the system for one that is not there.
		if rest := pause/2 - time.Since(began); rest > 0 {
			wait(ctx, nil, rest)
		}
	}
}

// look waits a while for a newer view, tells what has changed, and reports
// whether the view service answered.
func (w *watcher) look(ctx context.Context, pause time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	if _, err := w.client.Wait(ctx, tandem.ViewArgs{Wait: pause, Viewnum: w.view}); err != nil {
		return false
	}
	st, err := w.client.Status(ctx)
	if err != nil {
		return false
	}
	w.pending = st.Active < st.View.Viewnum && !st.Down
	for _, c := range st.History {
		if c.View.Viewnum < w.view || c.View.Viewnum == w.view && c.Active <= w.active {
			continue
		}
		if !w.named(c.View) {
			return true // it stays in the history
		}
		w.tellChange(c)
	}
	w.tellDown(st)
	return true
}

// named reports whether a change can be told: all its servers have names, or it has
// been waited for them long enough.
func (w *watcher) named(v tandem.View) bool {
	for _, server := range []tandem.Server{v.PrimaryServer(), v.BackupServer()} {
		if server.Addr == "" || w.s.lifeOf(server).name != "" {
			continue
		}
		if w.unnamed.IsZero() {
			w.unnamed = time.Now()
		}
		if time.Since(w.unnamed) < namePatience {
			return false
		}
	}
	w.unnamed = time.Time{}
	return true
}

// tellChange tells a change of view.
func (w *watcher) tellChange(c sysmonitor.Change) {
	made := c.View.Viewnum > w.view
	w.view, w.active = c.View.Viewnum, c.Active
	primary, backup := c.View.PrimaryServer(), c.View.BackupServer()
	e := w.s.lifeOf(primary).event(ViewActive, "")
	e.Addr, e.View, e.Rule = primary.Addr, c.View.Viewnum, c.Rule
	e.Primary, e.Backup = e.Name, w.s.lifeOf(backup).name
	switch {
	case made && backup.Addr == "":
		e.Kind = ViewMade
		e.Text = fmt.Sprintf("view %d: %s is primary, with no backup: %s (%s)", e.View, w.s.titleOf(primary), w.s.rename(c.Reason), c.Rule)
	case made:
		e.Kind = ViewMade
		e.Text = fmt.Sprintf("view %d: %s is primary, %s backup: %s (%s)", e.View, w.s.titleOf(primary), w.s.titleOf(backup), w.s.rename(c.Reason), c.Rule)
	case backup.Addr == "":
		e.Text = fmt.Sprintf("view %d is active: %s serves, alone", e.View, w.s.titleOf(primary))
	default:
		e.Text = fmt.Sprintf("view %d is active: %s serves, and %s has all its data", e.View, w.s.titleOf(primary), w.s.titleOf(backup))
	}
	w.s.tell(e)
}

// tellDown tells that the group is down, or up again.
func (w *watcher) tellDown(st *sysmonitor.Status) {
	if st.Down == w.down {
		return
	}
	w.down = st.Down
	if !st.Down {
		w.s.tell(Event{Kind: GroupUp, Text: "the group is up again"})
		return
	}
	text := w.s.rename(st.Why)
	if !strings.HasPrefix(text, "the group is down") {
		text = "the group is down: " + text
	}
	if w.s.allEnded(st.InSync) {
		text += "; the processes that held it have ended, and nothing brings it back: end this cluster, and start another"
	}
	w.s.tell(Event{Kind: GroupDown, Text: text})
}

// tellSilence tells that the view service does not answer, or does again.
func (w *watcher) tellSilence(answered bool) {
	if answered {
		w.heard = time.Now()
	}
	silent := time.Since(w.heard) >= silencePatience
	if silent == w.silent {
		return
	}
	w.silent = silent
	text := "the view service answers again"
	if silent {
		text = "the view service does not answer: servers and clients go on with the view that they have, and none can follow one that dies"
	}
	w.s.tell(Event{Kind: Note, Name: w.s.monitor.name, Text: text})
}

// allEnded reports whether servers are lives that have all ended.
func (s *Supervisor) allEnded(servers []tandem.Server) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(servers) > 0 && !slices.ContainsFunc(servers, func(server tandem.Server) bool { return !s.lives[server].ended })
}

// rename returns a text of the view service with the names and process ids of the
// servers, which it calls by address and incarnation.
func (s *Supervisor) rename(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pairs [][2]string
	for server, l := range s.lives {
		pairs = append(pairs, [2]string{fmt.Sprintf("%s/%x", server.Addr, server.Incarnation), l.title()})
	}
	// The longer first: of two, one may begin as the other.
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(len(b[0]), len(a[0])), strings.Compare(a[0], b[0]))
	})
	var words []string
	for _, p := range pairs {
		words = append(words, p[0], p[1])
	}
	return strings.NewReplacer(words...).Replace(text)
}
