package replica

import "hash/crc32"

// upstream is what a backup knows of its primary in the present epoch.
type upstream struct {
	installed bool   // has installed this epoch's transfer (rules L1, T3)
	seen      uint64 // the highest Seq that was seen

	// A transfer on its way in: of the whole state, or of the missing entries (rule
	// T4). Staging is the state that it makes, so far as of end.
	staging   Machine
	told      bool // told the primary what this server holds
	delta     bool
	entries   []Entry // of a delta
	snapIndex uint64
	end       uint64
	endEpoch  uint64 // of the entry there
	endTime   int64
	chunks    uint64 // taken so far
	sum       uint32

	installDurable bool // what was installed is durable, too

	chunk, forward, offer bool   // such a message is to be answered
	gap                   uint64 // Seq of a forward to be refused; 0: none
}

// takeForward is rule L1 at the receiving end.
func (r *Replica) takeForward(m Message) {
	u := &r.upstream
	if !u.installed {
		r.note("L1", m.Index, "ignored a forward: no transfer of this epoch is installed")
		return
	}
	for i, e := range m.Entries {
		if e.Index != m.Index+1+uint64(i) {
			return // not a run of entries: malformed
		}
	}
	u.seen = max(u.seen, m.Seq)
	if m.Index > r.log.last() {
		u.gap = max(u.gap, m.Seq)
		return
	}
	news := false
	for _, e := range m.Entries {
		if e.Index <= r.log.last() {
			if e.Index > r.log.base && r.log.at(e.Index).Epoch != e.Epoch {
				r.broken("I5", "entry %d of epoch %d arrived where one of epoch %d is held", e.Index, e.Epoch, r.log.at(e.Index).Epoch)
			}
			continue // known
		}
		r.log.add(e)
		r.keep(e)
		news = true
	}
	if !news {
		u.forward = true // or else Durable has it answered, once there is something to say
	}
	r.commitTo(min(m.Commit, r.log.last()))
}

// takeChunk is rule T3: one transfer an epoch, whole and at once.
func (r *Replica) takeChunk(m Message) {
	u := &r.upstream
	u.seen = max(u.seen, m.Seq)
	u.chunk = true
	if u.installed {
		r.note("T3", m.SnapIndex, "a chunk after the installation: answered again")
		return
	}
	if m.Delta {
		r.takeDelta(m)
		return
	}
	if u.staging == nil || u.delta { // the primary may have come to send everything
		u.begin(r.machine.Empty(), m.SnapIndex)
		u.end, u.endEpoch, u.endTime = m.SnapIndex, m.SnapEpoch, m.SnapTime
	}
	if m.SnapIndex != u.snapIndex || m.ChunkNumber != u.chunks {
		return // repeated, or ahead of what is missing
	}
	if why := u.takeIn(m); why != "" {
		r.note("T1", m.SnapIndex, "threw a transfer away: "+why)
		u.discard()
		return
	}
	if m.ChunkLast {
		r.install()
	}
}

// begin makes a transfer on its way in one of which nothing has come.
func (u *upstream) begin(staging Machine, snapIndex uint64) {
	u.discard()
	u.staging, u.snapIndex, u.sum = staging, snapIndex, 0
}

// discard forgets what has come of a transfer.
func (u *upstream) discard() {
	u.staging, u.entries, u.chunks, u.delta = nil, nil, 0, false
}

// takeIn adds a chunk of the whole state, or of what was ordered while that was sent,
// and says what is wrong with it.
func (u *upstream) takeIn(m Message) (why string) {
	if len(m.Entries) == 0 {
		if err := u.staging.Load(m.Data); err != nil {
			return err.Error()
		}
		u.sum = crc32.Update(u.sum, castagnoli, m.Data)
	} else if !u.staging.Loaded() || !u.stage(m.Entries) {
		return "entries that do not follow it"
	}
	u.chunks++
	if m.ChunkLast && (u.sum != m.ChunkSum || !u.staging.Loaded()) {
		return "it did not arrive whole"
	}
	return ""
}

// stage applies entries to what is staged; false if they do not follow it.
func (u *upstream) stage(entries []Entry) bool {
	index, time := u.end, u.endTime
	for _, e := range entries {
		if e.Index != index+1 || e.Time < time {
			return false
		}
		index, time = e.Index, e.Time
	}
	for _, e := range entries {
		u.staging.Apply(e)
		u.end, u.endEpoch, u.endTime = e.Index, e.Epoch, e.Time
	}
	u.sum = sumEntries(u.sum, entries)
	return true
}

// install replaces everything this server holds by the state transferred.
func (r *Replica) install() {
	u := &r.upstream
	r.machine = u.staging
	u.discard()
	u.installed = true
	r.held = true
	u.installDurable = false
	r.log = log{base: u.end, baseEpoch: u.endEpoch, baseTime: u.endTime}
	r.commit, r.applied, r.durable = u.end, u.end, 0
	r.generation++
	r.out.Keep = &Record{Generation: r.generation, Installed: r.machine.Snapshot(), Base: u.end, Last: u.end}
	r.stats.Installs++
	r.note("T3", u.end, "installed a transfer")
}

// answerPrimary makes one answer of a kind serve everything that arrived.
func (r *Replica) answerPrimary() {
	u := &r.upstream
	if u.gap != 0 {
		r.answer(Gap, u.gap, r.log.last())
		u.gap = 0
	}
	if !u.installed {
		if u.offer {
			r.answer(Holds, u.seen, 0)
			u.told = true
		}
		if u.chunk {
			r.answer(ChunkTaken, u.seen, 0)
		}
		u.offer, u.chunk = false, false
		return
	}
	if !u.installDurable {
		return // to have is to have durably (rule L2); Durable makes this go on
	}
	switch {
	case u.chunk:
		r.answer(Installed, u.seen, r.durable)
	case u.forward:
		r.answer(Acknowledge, u.seen, r.durable)
	}
	u.chunk, u.forward = false, false
}

func (r *Replica) answer(k Kind, seq, index uint64) {
	m := Message{Kind: k, View: r.view, From: r.cfg.Self, To: r.view.PrimaryServer(), Seq: seq, Index: index, Grace: r.cfg.Grace}
	switch k {
	case ChunkTaken:
		m.SnapIndex = r.upstream.snapIndex
		m.ChunkNumber = r.upstream.chunks
		m.Delta = r.upstream.delta
	case Holds:
		m.DeltaIndex = r.commit
		m.DeltaEpoch, _ = r.log.stamp(r.commit)
	}
	r.out.Messages = append(r.out.Messages, m)
}
