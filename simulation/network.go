package simulation

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice/clerk"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// bodyKind is the kind of what an envelope holds.
type bodyKind uint8

const (
	peerMessage bodyKind = iota + 1 // between servers
	ping                            // server to view service
	pingReply
	viewArgs // anybody to view service: MonitorServer.Get
	viewReply
	putArgs // client to server
	putReply
	getArgs
	getReply
	scanArgs
	scanReply
	numBodyKinds
)

var bodyNames = [numBodyKinds]string{"", "peer message", "Ping", "Ping reply", "View", "View reply",
	"Put", "Put reply", "Get", "Get reply", "Scan", "Scan reply"}

func (k bodyKind) String() string { return bodyNames[k] }

// body is a message of any kind: the field of its kind is set.
type body struct {
	Kind bodyKind
	// Life says to which life of the receiver a reply belongs: a connection
	// does not outlive its ends. Zero: whoever has the address.
	Life uint64
	Call uint64 // what the caller knows it by

	Peer      *replica.Message
	Ping      *tandem.PingArgs
	PingReply *tandem.PingReply
	View      *tandem.ViewArgs
	ViewReply *tandem.ViewReply
	Put       *tandem.PutArgs
	PutReply  *tandem.PutReply
	Get       *tandem.GetArgs
	GetReply  *tandem.GetReply
	Scan      *tandem.ScanArgs
	ScanReply *tandem.ScanReply
}

// envelope is a message in the network. What it holds never changes, so that it
// can be delivered any number of times.
type envelope struct {
	id       uint64
	from, to int // nodes
	fromLife uint64
	sent     int64
	body     body
	nth      uint64 // of the messages of its link
	rolls    uint64 // dice made for it
	arrived  bool   // a copy was delivered
	sealed   []byte // with Options.Seal: its encoding when it was sent
}

// memory is how many of the messages sent can come back as ghosts.
const memory = 400

// network is the multiset of messages. Those that are due are events; all are
// remembered, up to a bound, for ghosts.
type network struct {
	sent   uint64
	ghosts []*envelope // a ring
	codec  *codec
	nodes  int
	links  []link // for each pair of nodes, from*nodes+to
	hold   func(from, to int, b *body) bool
	held   []*envelope
}

// link is one direction between two nodes.
type link struct {
	sent uint64 // messages
	cuts int
	// The last arrival of those that keep their order, and its place among the
	// events of that time.
	last    int64
	lastTie uint32
	slow    int64 // milliseconds that messages take longer, for a while
}

func (n *network) link(from, to int) *link { return &n.links[from*n.nodes+to] }

// mend makes every link pass messages in their usual time.
func (n *network) mend() {
	for i := range n.links {
		n.links[i].cuts, n.links[i].slow = 0, 0
	}
}

// roll returns dice for what befalls a message next.
func (w *World) roll(env *envelope) dice {
	env.rolls++
	return newDice(w.opt.Seed, diceOfMessage, uint64(w.link(env.from, env.to)), env.nth<<16|env.rolls&0xffff)
}

// send gives a message to the network, which does with it what the options say.
func (w *World) send(from, to int, b body) {
	n := &w.net
	n.sent++
	l := n.link(from, to)
	l.sent++
	env := &envelope{id: n.sent, from: from, to: to, fromLife: w.nodes[from].life, sent: w.now, nth: l.sent, body: b}
	if w.opt.Seal {
		env.sealed = n.codec.seal(&b)
	}
	w.trace.all.sent(env)
	if b.Kind == ping && b.Ping.Seq == 1 {
		w.server(from).first = env
	}
	if b.Kind == ping && b.Ping.Unreachable != 0 {
		w.server(from).report = env
	}
	if len(n.ghosts) < memory {
		n.ghosts = append(n.ghosts, env)
	} else {
		n.ghosts[n.sent%memory] = env
	}
	if n.hold != nil && n.hold(from, to, &b) {
		n.held = append(n.held, env)
		return
	}
	w.sendHostile(env)
}

// sendHostile sends a message with the faults that single messages suffer.
func (w *World) sendHostile(env *envelope) {
	place := w.link(env.from, env.to)
	if d := (decision{Dropped, place, env.nth}); w.decides(d) {
		w.lose(env)
	} else {
		w.transmit(env)
	}
	if w.decides(decision{Duplicated, place, env.nth}) {
		w.transmit(env)
	}
	if env.body.Kind == peerMessage && (env.body.Peer.Kind == replica.Chunk || env.body.Peer.Kind == replica.Offer) {
		d := decision{TransfersCut, place, env.nth}
		if rolled, ok := w.strikes(d); ok && w.chaosCutTransfer(env.from, env.to, &rolled) {
			w.struck(d)
		}
	}
}

// decides is strikes and struck, of a fault that always can.
func (w *World) decides(d decision) bool {
	_, ok := w.strikes(d)
	if ok {
		w.struck(d)
	}
	return ok
}

// transmit makes a message arrive once more. On a link messages keep their order,
// except those that a fault holds up: they are overtaken, and overtake.
func (w *World) transmit(env *envelope) {
	d := w.roll(env)
	l, place := w.net.link(env.from, env.to), w.link(env.from, env.to)
	at := w.now + 1 + l.slow
	if w.opt.LatencyMillis > 1 {
		at += int64(d.intN(int(w.opt.LatencyMillis)))
	}
	n := env.nth<<16 | env.rolls&0xffff
	free := false
	late := decision{Delayed, place, n}
	if rolled, ok := w.strikes(late); ok {
		w.struck(late)
		at += rolled.upTo(orElse(w.opt.Faults.DelayMillis, 100))
		free = true
	}
	astray := decision{Reordered, place, n}
	if rolled, ok := w.strikes(astray); ok {
		w.struck(astray)
		at += rolled.upTo(2 * w.opt.LatencyMillis)
		free = true
	}
	tie := uint32(d.next())
	if !free {
		at = max(at, l.last)
		if at == l.last { // events of one time and tie happen in the order of their making
			tie = l.lastTie
		}
		l.last, l.lastTie = at, tie
	}
	w.queue.push(event{at: at, tie: tie, kind: evDeliver, node: env.to, env: env})
}

// lose is what happens when a message gets lost: mostly nothing; but the sender
// may come to know that its connection broke.
func (w *World) lose(env *envelope) {
	w.trace.all.lost(env)
	d := w.roll(env)
	if !d.chance(0.4) {
		return
	}
	at := w.now + d.upTo(20)
	switch env.body.Kind {
	case peerMessage:
		w.queue.push(event{at: at, kind: evLost, node: env.from, life: env.fromLife})
	case putArgs, getArgs, scanArgs, viewArgs:
		w.queue.push(event{at: at, kind: evAbandon, node: env.from, life: env.fromLife, a: env.body.Call, b: uint64(env.body.Kind)})
	case putReply, getReply, scanReply, viewReply:
		w.queue.push(event{at: at, kind: evAbandon, node: env.to, life: env.body.Life, a: env.body.Call, b: uint64(env.body.Kind - 1)})
	}
}

// after returns a message and those that followed it on its link, as far as they are
// remembered: a conversation that comes again, perhaps to somebody else at the same
// address (docs/protocol.md, story 6).
func (n *network) after(first *envelope) []*envelope {
	var again []*envelope
	for _, env := range n.ghosts {
		if env.from == first.from && env.to == first.to && env.id >= first.id {
			again = append(again, env)
		}
	}
	slices.SortFunc(again, func(a, b *envelope) int { return cmp.Compare(a.id, b.id) })
	return again
}

// deliver brings a message to where it is addressed.
func (w *World) deliver(e event) {
	env := e.env
	to := &w.nodes[env.to]
	switch {
	case w.net.link(env.from, env.to).cuts > 0:
		w.cover.count(CutOff)
		if d := w.roll(env); d.chance(0.3) { // kept by the wire, and late
			w.queue.push(event{at: w.now + d.upTo(300), tie: uint32(d.next()), kind: evDeliver, node: env.to, env: env})
			return
		}
		w.lose(env)
		return
	case !to.up || (env.body.Life != 0 && env.body.Life != to.life):
		w.lose(env)
		return
	}
	b := &env.body
	if w.opt.Recode {
		b = w.net.codec.recode(b, env.id)
	} else if w.opt.Seal {
		if !bytes.Equal(env.sealed, w.net.codec.seal(b)) {
			w.fail("MessageImmutable", "message %d changed after it was sent: %s", env.id, b)
		}
	}
	w.trace.all.arrived(env)
	again := env.arrived
	env.arrived = true
	switch {
	case env.to == monitorNode:
		w.monitor.deliver(env, b)
	case env.to < w.firstClient():
		w.server(env.to).deliver(env, b, again)
	default:
		w.client(env.to).deliver(env, b)
	}
}

// Cut stops messages from one node to another until Mend.
func (w *World) Cut(from, to int) { w.net.link(from, to).cuts++ }

// Mend takes one Cut back.
func (w *World) Mend(from, to int) { w.net.link(from, to).cuts-- }

// Hold keeps back the messages that a function picks, from now on; nil picks
// none any more. Release lets go of those kept.
func (w *World) Hold(pick func(from, to int, b *body) bool) { w.net.hold = pick }

// Release sends on what was kept by Hold, in its order.
func (w *World) Release() {
	held := w.net.held
	w.net.held = nil
	for _, env := range held {
		w.transmit(env)
	}
}

// String returns the message for traces.
func (b *body) String() string {
	switch b.Kind {
	case peerMessage:
		m := b.Peer
		text := fmt.Sprintf("%s of view %d, #%d", m.Kind, m.View.Viewnum, m.Seq)
		switch m.Kind {
		case replica.Forward:
			text += fmt.Sprintf(", after %d", m.Index)
			for _, e := range m.Entries {
				text += fmt.Sprintf(" [%d of %d]", e.Index, e.Epoch)
			}
			text += fmt.Sprintf(", commit %d", m.Commit)
		case replica.Chunk:
			text += fmt.Sprintf(", %d of the state at %d, last %t", m.ChunkNumber, m.SnapIndex, m.ChunkLast)
		case replica.ChunkTaken:
			text += fmt.Sprintf(", %d of the state at %d", m.ChunkNumber, m.SnapIndex)
		default:
			text += fmt.Sprintf(", %d", m.Index)
		}
		return text
	case ping:
		return fmt.Sprintf("Ping %d from %s/%x, #%d, leaving %t, unreachable %d", b.Ping.Viewnum, b.Ping.Me, b.Ping.Incarnation, b.Ping.Seq, b.Ping.Leaving, b.Ping.Unreachable)
	case pingReply:
		return fmt.Sprintf("Ping reply: view %s, active %d %s", viewText(b.PingReply.View), b.PingReply.Active, b.PingReply.Err)
	case viewArgs:
		return fmt.Sprintf("View above %d?", b.View.Viewnum)
	case viewReply:
		return fmt.Sprintf("View reply: %s, active %d %s", viewText(b.ViewReply.View), b.ViewReply.Active, b.ViewReply.Err)
	case putArgs:
		return fmt.Sprintf("call %d: %s %q %q %q as %d.%d, view %d", b.Call, b.Put.Op, b.Put.Key, b.Put.Value, b.Put.Expected, b.Put.Session, b.Put.Number, b.Put.Viewnum)
	case putReply:
		r := b.PutReply
		return fmt.Sprintf("reply %d: %s, %s, previous %q, swapped %t, session %d", b.Call, string(r.Err), r.Outcome, r.PreviousValue, r.Swapped, r.Session)
	case getArgs:
		return fmt.Sprintf("call %d: Get %q, view %d", b.Call, b.Get.Key, b.Get.Viewnum)
	case getReply:
		return fmt.Sprintf("reply %d: %s %q", b.Call, string(b.GetReply.Err), b.GetReply.Value)
	case scanArgs:
		return fmt.Sprintf("call %d: Scan %q, of %d after %q, view %d", b.Call, b.Scan.Prefix, b.Scan.Scan, b.Scan.After, b.Scan.Viewnum)
	case scanReply:
		return fmt.Sprintf("reply %d: %s, %d pairs of %d, more %t", b.Call, string(b.ScanReply.Err), len(b.ScanReply.Pairs), b.ScanReply.Index, b.ScanReply.More)
	}
	return "nothing"
}

func viewText(v tandem.View) string {
	return fmt.Sprintf("(%d,%s,%s)", v.Viewnum, serverText(v.PrimaryServer()), serverText(v.BackupServer()))
}

func serverText(s tandem.Server) string {
	if s.Addr == "" {
		return "none"
	}
	return fmt.Sprintf("%s/%x", s.Addr, s.Incarnation)
}

func (b *body) callID() clerk.CallID { return clerk.CallID(b.Call) }
