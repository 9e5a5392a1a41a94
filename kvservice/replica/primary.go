package replica

import (
	"slices"
	"time"
)

// peer is what a primary knows of its backup in the present epoch.
//
//	match < next,  acknowledged <= sent
type peer struct {
	match uint64 // the last index that the backup is known to have (rule L2)
	next  uint64 // the index to forward next; zero until the backup has installed

	sent         uint64 // Seq of the last message sent
	acknowledged uint64 // the highest Seq that an answer brought back
	rewoundAt    uint64 // Seq at the last rewind; gaps of earlier messages are old news

	transfer *transfer // while one runs

	idle        int  // ticks since the last message
	quiet       int  // ticks that something has been unanswered without progress
	resendIn    int  // ticks until what is unanswered is sent again
	resends     int  // in a row without progress: the pause doubles with each
	lost        bool // resendIn was brought forward because of a known loss
	probe       bool // send a forward even if there is nothing to send
	unreachable bool // report it (rule V8)

	// Of leases (rule R3).
	sendings []sending     // when messages were made; the first covers acknowledged
	leased   time.Duration // until when the lease lasts
	promised bool          // the backup's grace covers it
}

// taken returns how many chunks of the running transfer the backup holds.
func (p *peer) taken() uint64 {
	if p.transfer == nil {
		return 0
	}
	return p.transfer.taken
}

// waiting tells whether the backup owes an answer.
func (p *peer) waiting() bool {
	return p.transfer != nil || p.acknowledged < p.sent || (p.next != 0 && p.match+1 < p.next)
}

// pause returns the ticks to wait before sending again: the more often that was
// in vain, the longer.
func (p *peer) pause(ticks int) int { return ticks << min(p.resends, 4) }

func (p *peer) progressed() {
	p.quiet = 0
	p.resends = 0
	p.resendIn, p.lost = 0, false
	p.unreachable = false
}

// lag returns how many entries the backup is not known to have, and their bytes.
// What a transfer brings does not count while it runs.
func (r *Replica) lag() (entries uint64, bytes int) {
	if !r.isPrimary() || r.view.Backup == "" {
		return 0, 0
	}
	from := r.peer.match
	if t := r.peer.transfer; t != nil {
		if from = t.end; t.offering {
			from = r.applied // which it will bring, once that is decided
		}
	}
	from = max(from, r.log.base)
	return r.log.last() - from, r.log.bytesAfter(from)
}

// message returns the frame of a message to the backup (rule N1), numbered.
func (r *Replica) message(k Kind) Message {
	r.peer.sent++
	r.peer.idle = 0
	r.noteSending(r.peer.sent)
	return Message{Kind: k, View: r.view, From: r.cfg.Self, To: r.view.BackupServer(), Seq: r.peer.sent}
}

// forward makes the forwards that are due: entries not yet sent (rule L1), or an
// empty one that carries the commit index, or a probe for reads that wait.
func (r *Replica) forward() {
	if r.authority != Joint {
		return
	}
	p := &r.peer
	probe := p.probe
	if r.asksAfter(p.sent) {
		probe = true // rule R2: a message sent after the read arrived
		if p.next > r.log.last() {
			r.stats.ReadProbes++
		}
	}
	p.probe = false
	for p.next <= r.log.last() || probe {
		probe = false
		m := r.message(Forward)
		m.Index = p.next - 1
		m.Commit = r.commit
		if p.next <= r.log.last() {
			m.Entries = r.log.slice(p.next, r.cfg.MaxForwardBytes)
			p.next += uint64(len(m.Entries))
		}
		r.stats.Forwards++
		r.out.Messages = append(r.out.Messages, m)
	}
}

// asksAfter tells whether a read waits for the answer to a message beyond seq.
func (r *Replica) asksAfter(seq uint64) bool {
	for _, w := range slices.Backward(r.requests.reads) {
		if !w.leased { // those that are still to be answered by lease ask nobody
			return w.seq > seq
		}
	}
	return false
}

// takeAnswer takes what the backup says in this epoch.
func (r *Replica) takeAnswer(m Message) {
	p := &r.peer
	if m.Seq > p.sent || m.Index > r.log.last() || r.authority == None {
		return // no answer to anything that this primary sent
	}
	newest := m.Seq > p.acknowledged && m.Kind != Gap // a gap is no acknowledgement (rule L1)
	if newest {
		p.acknowledged = m.Seq
		r.renew(m.Seq, m.Grace)
		if p.transfer == nil && (p.next == 0 || p.match+1 >= p.next) {
			p.progressed()
		}
	}
	switch m.Kind {
	case Acknowledge:
		r.acknowledge(m)
	case Gap:
		r.rewind(m)
	case ChunkTaken:
		r.chunkTaken(m, newest)
	case Holds:
		r.decideTransfer(m)
	case Installed:
		r.installed(m)
		r.acknowledge(m) // an answer to a late chunk stands for that to a forward, too
	}
	r.advance()
	r.trim()
}

// acknowledge takes the index up to which the backup has the log (rule L2).
func (r *Replica) acknowledge(m Message) {
	p := &r.peer
	if r.authority != Joint || m.Index <= p.match {
		return
	}
	p.match = m.Index
	p.next = max(p.next, p.match+1) // a resend may have gone back behind it
	p.progressed()
}

// rewind goes back to where the backup's log ends. A gap is no acknowledgement,
// whatever index it names (rule L1).
func (r *Replica) rewind(m Message) {
	p := &r.peer
	if r.authority != Joint || m.Seq <= p.rewoundAt || m.Index < p.match || m.Index+1 >= p.next {
		return
	}
	p.next = m.Index + 1
	p.rewoundAt = p.sent
	r.stats.Rewinds++
	r.note("L1", m.Index, "the backup saw a gap: going back")
}

// tickPeer counts what has to do with the backup.
func (r *Replica) tickPeer() {
	if r.authority == None || r.view.Backup == "" {
		return
	}
	p := &r.peer
	if p.idle++; p.idle >= r.cfg.HeartbeatTicks && r.authority == Joint {
		p.probe = true
	}
	if !p.waiting() {
		p.quiet, p.resendIn, p.lost = 0, 0, false
		return
	}
	if p.quiet++; p.quiet >= r.cfg.UnreachableTicks && !p.unreachable {
		r.ReportBackup()
	}
	if p.resendIn == 0 {
		p.resendIn = p.pause(r.cfg.ResendTicks)
	}
	if p.resendIn--; p.resendIn == 0 {
		r.Resend()
	}
}

// Heartbeat makes the next effects hold a forward, though there may be nothing
// to forward but the commit index.
func (r *Replica) Heartbeat() { r.peer.probe = r.authority == Joint }

// Lost tells that a message to the backup, or the answer to one, is known to be
// lost, so that what is unanswered need not wait for its time: the next tick
// sends it again, or a later one if sending again has not helped so far.
func (r *Replica) Lost() {
	p := &r.peer
	if pause := p.pause(1); p.resendIn == 0 || pause < p.resendIn {
		p.resendIn = pause
		p.lost = true
	}
}

// Moving tells that bytes of messages to the backup are still moving out, so that
// a large entry on a slow link is neither sent twice nor taken for silence (rule
// V8 asks for progress, and this is some). Once something has been sent again
// only an answer counts, for a backup may take bytes in for ever and never
// answer.
func (r *Replica) Moving() {
	p := &r.peer
	if p.resends > 0 {
		return
	}
	p.quiet = 0
	if !p.lost { // a known loss is not put off
		p.resendIn = 0
	}
}

// Resend sends again everything that the backup has not answered.
func (r *Replica) Resend() {
	p := &r.peer
	p.resendIn, p.lost = 0, false
	if r.authority == None || r.view.Backup == "" || !p.waiting() {
		return
	}
	p.resends++
	r.stats.Resends++
	if p.transfer != nil {
		p.transfer.sent = p.transfer.taken
		p.transfer.offered = false
	}
	if p.next != 0 {
		p.next = p.match + 1
		p.probe = true
	}
}

// ReportBackup makes pings say that the backup cannot be reached, until there is
// progress or another view (rule V8). A report changes nothing here: only a
// later view lets this primary go on alone (rule A5).
func (r *Replica) ReportBackup() {
	if r.authority == None || r.view.Backup == "" {
		return
	}
	r.peer.unreachable = true
	r.note("V8", 0, "reports its backup unreachable")
	r.Ping()
}
