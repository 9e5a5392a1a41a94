package mutants

// logs breaks the rules of the log.
var logs = []Mutant{
	{
		Name: "forward-without-transfer", Rules: []string{"L1"},
		Story: "A backup takes forwards before it has installed this epoch's transfer.",
		Edits: []Edit{{replicaBack, "if !u.installed {\n\t\tr.note(\"L1\"", "if !u.installed && m.Index > 1<<40 {\n\t\tr.note(\"L1\""}},
		Equivalent: "A forward names the view that it was made in, and both ends with their incarnations. A primary makes none in a view " +
			"before its backup has said that it installed that view's transfer (A4), and nothing but a newer view makes the backup forget that; " +
			"then F1 refuses the forward. A server that comes back with its disk alone (D2) would need the check.",
	}, {
		Name: "installed-for-ever", Rules: []string{"L1", "T3"},
		Story: "A backup that installed a transfer counts as filled in every later view that names it.",
		Edits: []Edit{{replicaView, "r.upstream = upstream{}\n", "r.upstream = upstream{installed: r.upstream.installed, installDurable: r.upstream.installDurable}\n"}},
	}, {
		Name: "gap-skipped", Rules: []string{"L1"},
		Story: "A forward that leaves a gap is taken, and the backup's log has a hole.",
		Edits: []Edit{{replicaBack, "if m.Index > r.log.last() {\n\t\tu.gap = max(u.gap, m.Seq)\n\t\treturn\n\t}\n", ""}},
	}, {
		Name: "gap-counts-as-acknowledgement", Rules: []string{"L1"},
		Story: "The index in the answer to a gap is taken for what the backup has.",
		Edits: []Edit{{replicaPeer, "case Gap:\n\t\tr.rewind(m)", "case Gap:\n\t\tr.acknowledge(m)\n\t\tr.rewind(m)"}},
	}, {
		Name: "known-entries-added-again", Rules: []string{"L1"},
		Story: "Entries that come a second time are added to the log a second time.",
		Edits: []Edit{{replicaBack, "continue // known\n", ""}},
	}, {
		Name: "lost-forward-not-sent-again", Rules: []string{"L1"},
		Story: "What the backup did not answer is never sent again.",
		Edits: []Edit{{replicaPeer, "if p.next != 0 {\n\t\tp.next = p.match + 1\n\t\tp.probe = true\n\t}", ""},
			{replicaPeer, "case Gap:\n\t\tr.rewind(m)", "case Gap:"}},
	}, {
		Name: "commit-beyond-the-log", Rules: []string{"L1"},
		Story: "The backup takes the primary's commit index as it is, also where its own log ends before.",
		Edits: []Edit{{replicaBack, "r.commitTo(min(m.Commit, r.log.last()))", "r.commitTo(m.Commit)"}},
	}, {
		Name: "commit-never-told", Rules: []string{"L1"},
		Story: "Forwards do not say what is committed, and the backup never applies anything.",
		Edits: []Edit{{replicaPeer, "m.Commit = r.commit\n", ""}},
	}, {
		Name: "acknowledged-one-too-many", Rules: []string{"L2"},
		Story: "The backup's acknowledgement is off by one.",
		Edits: []Edit{{replicaBack, "r.answer(Acknowledge, u.seen, r.durable)", "r.answer(Acknowledge, u.seen, r.durable+1)"}},
	}, {
		Name: "acknowledged-before-the-disk", Rules: []string{"L2"},
		Story: "The backup acknowledges what it holds, before its disk has confirmed it.",
		Edits: []Edit{{replicaBack, "r.answer(Acknowledge, u.seen, r.durable)", "r.answer(Acknowledge, u.seen, r.log.last())"}},
	}, {
		Name: "installed-before-the-disk", Rules: []string{"L2", "T3"},
		Story: "The backup says that it has installed a transfer before its disk has confirmed that.",
		Edits: []Edit{{replicaBack, "if !u.installDurable {\n\t\treturn", "if !u.installed {\n\t\treturn"},
			{replicaBack, "r.answer(Installed, u.seen, r.durable)", "r.answer(Installed, u.seen, r.log.last())"}},
	}, {
		Name: "durable-of-another-log", Rules: []string{"L2"},
		Story: "The disk's late word of a log that a transfer has replaced counts for the log that replaced it.",
		Edits: []Edit{{replicaLog, "if generation != r.generation {\n\t\treturn\n\t}\n", ""}},
	}, {
		Name: "answered-before-the-backup-has-it", Rules: []string{"L3"},
		Story: "A joint primary commits and answers what it has itself.",
		Edits: []Edit{{replicaLog, "c = max(c, min(r.durable, r.peer.match))", "c = max(c, r.durable)"}},
	}, {
		Name: "answered-before-the-own-disk", Rules: []string{"L3"},
		Story: "A joint primary commits what its backup has and its own disk has not.",
		Edits: []Edit{{replicaLog, "c = max(c, min(r.durable, r.peer.match))", "c = max(c, r.peer.match)"}},
	}, {
		Name: "solo-does-not-wait-for-the-disk", Rules: []string{"L3"},
		Story: "A solo primary commits before its disk has confirmed.",
		Edits: []Edit{{replicaLog, "c = max(c, r.durable)", "c = max(c, r.log.last())"}},
	}, {
		Name: "backup-applies-what-it-holds", Rules: []string{"L4"},
		Story: "The backup applies entries as they come, without waiting to hear that they are committed.",
		Edits: []Edit{{replicaBack, "r.commitTo(min(m.Commit, r.log.last()))", "r.commitTo(r.log.last())"}},
	}, {
		Name: "applied-once-in-a-while", Rules: []string{"L4"},
		Story: "When several entries are committed at once, one of them is applied and the others only counted.",
		Edits: []Edit{{replicaLog, "reply := r.machine.Apply(e)\n\t\tr.applied++", "reply := r.machine.Apply(e)\n\t\tr.applied = r.commit"}},
	}, {
		Name: "wakeup-lost-at-the-bound", Rules: []string{"L5", "P1"},
		Story: "Requests that wait for room in the log are not woken when there is room.",
		Edits: []Edit{{replicaLog, "r.serveReads()\n\tr.unpark()\n", "r.serveReads()\n"}},
	}, {
		Name: "lost-at-the-bound", Rules: []string{"L5"},
		Story: "When one of those that wait finds no room, those behind it are forgotten.",
		Edits: []Edit{{replicaAsk, "q.parked = waiting[i:]\n", "q.parked = waiting[i : i+1]\n"}},
	}, {
		Name: "time-falls", Rules: []string{"L6"},
		Story: "The primary stamps entries with its own clock, also where that is behind the log's time.",
		Edits: []Edit{{replicaLog, "Time:    max(floor, r.clock+r.offset),", "Time:    r.clock + 0*floor,"}},
	}, {
		Name: "own-limit-decides", Rules: []string{"L6"},
		Story: "Whether an appended value is too large is decided by the limit of the server that applies it.",
		Edits: []Edit{{storeMain, "reply = s.execute(c, sole)", "d := *c\n\td.MaxValue = uint64(s.limits.MaxValue)\n\treply = s.execute(&d, sole)"}},
	}, {
		Name: "own-clock-after-a-failover", Rules: []string{"L6", "S4"},
		Story: "A successor stamps entries by its own clock from the first, and where that is ahead every session expires at a stroke.",
		Edits: []Edit{{replicaLog, "r.offset = last - r.clock\n", "r.offset = 0 * last\n"}},
	},
}
