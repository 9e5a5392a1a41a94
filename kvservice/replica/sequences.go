package replica

// AppendSequences appends what AppendState counts by differences or leaves out
// and messages under way are compared with: the numbers of messages sent, seen
// and acknowledged. Two replicas that agree in both take every message alike. It
// is for a search whose network keeps messages for ever.
func (r *Replica) AppendSequences(b []byte) []byte {
	e := encoder{b}
	p, u := &r.peer, &r.upstream
	e.uints(p.sent, p.acknowledged, p.rewoundAt, u.seen, u.gap, r.generation)
	for _, w := range r.requests.reads {
		e.uints(w.seq)
	}
	return e.b
}
