package mutants

// asked is what the mutants are tried with that are argued to be equivalent
// wherever a read meets a late disk: every state within these bounds.
var asked = append([]Command{{"search", "--updates", "1", "--reads", "1", "--views", "4", "--crashes", "1", "--late-disks", "--run-dir="}}, simulated...)

// reads breaks the rules of reads.
var reads = []Mutant{
	{
		Name: "read-before-the-log-is-applied", Rules: []string{"R1"},
		Story: "A new solo primary answers reads before what it committed on its promotion is applied.",
		Edits: []Edit{{replicaAsk, "w.index = max(r.commit, r.soloBarrier)", "w.index = r.commit"}},
		Run:   asked,
		Equivalent: "What an earlier primary committed with this server it had confirmed as durable (L2, L3), and becoming solo commits and applies all that is durable before any read is looked at (A6). " +
			"Between that and the barrier lies what nobody committed. The barrier is for a server that comes back from a disk (D2), which may hold more than it knows to be durable. " +
			"read-before-solo breaks R1 where nothing else helps",
	}, {
		Name: "read-before-solo", Rules: []string{"R1", "A2"},
		Story: "A primary that is alone in its view answers reads before it was told that the view is active.",
		Edits: []Edit{
			{replicaAsk, "case Solo:\n\t\treturn w.index <= r.applied", "case Solo, None:\n\t\treturn w.index <= r.applied"},
			{replicaAsk, "case r.authority == None:\n", "case r.authority == None && req.Kind != Read:\n"},
		},
	}, {
		Name: "read-at-a-deposed-primary", Rules: []string{"R2"},
		Story: "A joint primary answers reads from its own state, without asking its backup whether it still is the primary.",
		Edits: []Edit{{replicaAsk, "return w.index <= r.applied && w.seq <= r.peer.acknowledged", "return w.index <= r.applied"}},
	}, {
		Name: "read-confirmed-by-an-earlier-message", Rules: []string{"R2"},
		Story: "A read is confirmed by the answer to a message that was sent before it arrived.",
		Edits: []Edit{{replicaAsk, "w.seq = r.peer.sent + 1", "w.seq = r.peer.sent"}},
	}, {
		Name: "read-without-an-index", Rules: []string{"R2"},
		Story: "A read that was confirmed is answered from whatever is applied.",
		Edits: []Edit{{replicaAsk, "return w.index <= r.applied && w.seq <= r.peer.acknowledged", "return w.seq <= r.peer.acknowledged"}},
		Run:   asked,
		Equivalent: "The index is applied whenever the message is acknowledged: a read notes the commit index, and what is committed is applied in the same step (commitTo). " +
			"The one index above it is the solo barrier, and what lies between was committed by nobody, as in read-before-the-log-is-applied. " +
			"The line becomes needed with a server that comes back from a disk (D2), or that applies later than it commits.",
	}, {
		Name: "read-bounds-of-another-epoch", Rules: []string{"R2"},
		Story: "A read that waits keeps the message number of the epoch in which it arrived.",
		Edits: []Edit{{replicaAsk, "r.requests.reads[i] = r.bound(w)", "r.requests.reads[i] = w"}},
	}, {
		Name: "read-not-woken", Rules: []string{"R2", "P1"},
		Story: "Reads that wait are not looked at when the confirmation comes.",
		Edits: []Edit{{replicaLog, "r.serveReads()\n\tr.unpark()\n", "r.unpark()\n"}},
	}, {
		Name: "probe-not-sent", Rules: []string{"R2"},
		Story: "A read waits for the next message to the backup, and nobody sends one.",
		Edits: []Edit{
			{replicaPeer, "probe = true // rule R2: a message sent after the read arrived\n", ""},
			{replicaPeer, "if p.idle++; p.idle >= r.cfg.HeartbeatTicks && r.authority == Joint {", "if p.idle++; p.idle < 0 && r.authority == Joint {"},
		},
	}, {
		Name: "deposed-keeps-its-reads", Rules: []string{"A7", "R2"},
		Story: "A superseded primary goes on holding reads, and answers them when it is primary again.",
		Edits: []Edit{{replicaView, "r.refuseReads()\n", ""}},
	}, {
		Name: "lease-twice-as-long", Rules: []string{"R3"},
		Story: "A lease lasts longer than the inequality allows.",
		Edits: []Edit{{replicaLease, "p.leased = p.sendings[0].at + r.cfg.Lease", "p.leased = p.sendings[0].at + 2*r.cfg.Lease"}},
	}, {
		Name: "lease-from-the-answer", Rules: []string{"R3"},
		Story: "A lease counts from when the answer came, and not from when the message that it answers was sent.",
		Edits: []Edit{{replicaLease, "p.leased = p.sendings[0].at + r.cfg.Lease", "p.leased = r.leases.now + r.cfg.Lease"}},
	}, {
		Name: "lease-checked-before-the-read", Rules: []string{"R3"},
		Story: "The lease is checked before the value is read and not after, and the primary is put to sleep between the two.",
		Edits: []Edit{{replicaLease, "if !r.leaseHolds() {\n\t\tr.askInstead()", "if r.authority != Joint {\n\t\tr.askInstead()"}},
		// The freeze has to fall between two lines of code, and somebody else has to write
		// meanwhile: of 8,000 seeds with freezes and cuts one found it, or none.
		Run: []Command{{"go", "test", "./kvservice/replica", "-run", "TestTranscripts/R3"}},
	}, {
		Name: "no-grace", Rules: []string{"R3"},
		Story: "A promoted backup acknowledges its view at once, while the primary before it may still read by its lease.",
		Edits: []Edit{{replicaLease, "if r.graceLeft() > 0 {\n\t\tr.note", "if r.graceLeft() > 1<<62 {\n\t\tr.note"}},
	}, {
		Name: "grace-from-the-first-message", Rules: []string{"R3"},
		Story: "The grace counts from the first message of the primary, and not from the last.",
		Edits: []Edit{{replicaLease, "l.accepted, l.at = true, l.now", "if !l.accepted {\n\t\t\tl.accepted, l.at = true, l.now\n\t\t}"}},
	}, {
		Name: "lease-before-the-acknowledgement", Rules: []string{"R3"},
		Story: "A primary reads by lease before it has acknowledged its view.",
		Edits: []Edit{{replicaLease, "if r.authority != Joint || r.acknowledged != r.view.Viewnum || !p.promised {", "if r.authority != Joint || !p.promised {"}},
		Equivalent: "A view with a backup comes only after an active one in which its primary was alone (V4). Until it is acknowledged the in-sync set is that primary by itself, " +
			"and nobody else is promoted (V5, V9): up to the moment at which it turned joint it read at home without asking anybody (R1, A3). " +
			"With the line the argument for I13 needs nothing but the in-sync set that the primary's own view left behind.",
	}, {
		Name: "lease-without-a-promise", Rules: []string{"R3"},
		Story: "A primary takes a lease from a backup that promised no grace, or too little.",
		Edits: []Edit{{replicaLease, "|| !p.promised {", "{"}},
	}, {
		Name: "lease-for-good", Rules: []string{"R3"},
		Story: "A primary reads by a lease that has run out.",
		Edits: []Edit{{replicaLease, "return r.leases.now < r.leaseUntil() }", "return r.leaseUntil() > 0 }"}},
	},
}
