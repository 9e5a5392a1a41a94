package mutants

// returns is what the mutants are tried with that are argued to be equivalent
// wherever a server returns and a disk is late: every state within these bounds.
var returns = append([]Command{{"search", "--updates", "1", "--views", "4", "--crashes", "1", "--deltas", "--late-disks", "--run-dir="}}, simulated...)

// transfers breaks the rules of the transfer.
var transfers = []Mutant{
	{
		Name: "transfer-without-sessions", Rules: []string{"T1", "S2"},
		Story: "The transfer carries the data and not the session table, so that a retry at the new primary runs again.",
		Edits: []Edit{{storeSnap, "v.data, v.sessions = v.data.Copy(), v.sessions.copy()", "v.data, v.sessions, v.live = v.data.Copy(), nil, 0"}},
	}, {
		Name: "transfer-without-replies", Rules: []string{"S2", "T1"},
		Story: "The transfer carries the sessions' numbers and not the replies.",
		Edits: []Edit{{storeSnap, "w.b = appendBytes(w.b, s.Reply)", "p := Reply{Err: tandem.OK}\n\t\t\tif len(s.Reply) == 0 {\n\t\t\t\tw.b = appendBytes(w.b, nil)\n\t\t\t} else {\n\t\t\t\tw.b = appendBytes(w.b, p.Append(nil))\n\t\t\t}"}},
	}, {
		Name: "transfer-as-of-the-log", Rules: []string{"T1"},
		Story: "The snapshot is said to be as of the end of the log, and holds what is applied.",
		Edits: []Edit{{replicaMove, "t.index, t.end = r.applied, r.applied\n", "t.index, t.end = r.log.last(), r.log.last()\n"}},
	}, {
		Name: "forwards-one-late", Rules: []string{"T1"},
		Story: "Forwards begin one entry after the one that follows the transfer.",
		Edits: []Edit{{replicaMove, "r.peer.next = m.Index + 1\n", "r.peer.next = m.Index + 2\n"}},
		Equivalent: "It costs a round trip and nothing else: the first forward leaves a gap, the backup answers where its log ends, " +
			"which is no acknowledgement, and the primary goes back to there (L1). What counts as had is set beside it, and one-more-counted-as-had breaks that",
	}, {
		Name: "chunks-in-any-order", Rules: []string{"T1"},
		Story: "Chunks are put together in the order in which they come.",
		Edits: []Edit{{replicaBack, "if m.SnapIndex != u.snapIndex || m.ChunkNumber != u.chunks {", "if m.SnapIndex != u.snapIndex {"}},
		Equivalent: "The number is the first of three lines: what comes out of order, or twice, does not load either, since a store takes items in the order of their keys " +
			"and counts them (store.Load), nor has it the sum that the last chunk names. What does not fit is thrown away and sent anew. chunks-not-checked takes all three away",
	}, {
		Name: "chunks-not-checked", Rules: []string{"T1"},
		Story: "Chunks are put together in the order in which they come, and nobody checks that all of them arrived.",
		Edits: []Edit{
			{replicaBack, "if m.SnapIndex != u.snapIndex || m.ChunkNumber != u.chunks {", "if m.SnapIndex != u.snapIndex {"},
			{replicaBack, "if m.ChunkLast && (u.sum != m.ChunkSum ||", "if m.ChunkLast && (u.sum == 0 && m.ChunkSum == 1 ||"},
			{"kvservice/store/load.go", "if s.loading.sessions != 0 || s.loading.pairs != 0 {", "if s.loading.sessions > 1<<62 {"},
		},
	}, {
		Name: "one-more-counted-as-had", Rules: []string{"T1", "L2"},
		Story: "A transfer counts as one entry more than it holds: forwards begin one late, and the entry between counts as had.",
		Edits: []Edit{{replicaMove, "r.peer.match = m.Index\n\tr.peer.next = m.Index + 1\n", "r.peer.match = m.Index + 1\n\tr.peer.next = m.Index + 2\n"}},
	}, {
		Name: "lost-chunk-not-sent-again", Rules: []string{"T1"},
		Story: "A chunk that was lost is never sent again.",
		Edits: []Edit{{replicaPeer, "p.transfer.sent = p.transfer.taken\n", "_ = p.transfer.sent\n"}},
	}, {
		Name: "snapshot-of-a-moving-state", Rules: []string{"T2"},
		Story: "The snapshot shares the trees of the live state, which writes go on changing.",
		Edits: []Edit{{storeSnap, "v.data, v.sessions = v.data.Copy(), v.sessions.copy()\n", ""}},
	}, {
		Name: "installed-twice", Rules: []string{"T3"},
		Story: "A transfer whose chunks come a second time is installed a second time, over what was acknowledged since.",
		Edits: []Edit{{replicaBack, "if u.installed {\n\t\tr.note(\"T3\"", "if u.installed && u.seen == 0 {\n\t\tr.note(\"T3\""}},
	}, {
		Name: "commit-kept-over-a-transfer", Rules: []string{"T3", "I12"},
		Story: "A server that installs a transfer goes on from the index it had applied before.",
		Edits: []Edit{{replicaBack, "r.commit, r.applied, r.durable = u.end, u.end, 0", "r.commit, r.applied, r.durable = max(r.commit, u.end), max(r.applied, u.end), 0"}},
		Run:   returns,
		Equivalent: "The greater of the two is always the transfer's index: a transfer comes from a solo primary and includes all that it committed. " +
			"Nobody but it commits in its epoch, and what was committed before it became solo it had durably (I3), and committed at that moment (A6). " +
			"The receiver, whose commit index is never ahead of what was committed anywhere, applies nothing between that and the installation",
	}, {
		Name: "log-trimmed-under-the-transfer", Rules: []string{"T5"},
		Story: "Entries that a running transfer will need are forgotten once they are applied.",
		Edits: []Edit{{replicaLog, "floor = min(floor, r.peer.transfer.after)", "floor = min(floor, r.applied)"}},
	}, {
		Name: "log-trimmed-under-the-backup", Rules: []string{"T5", "L1"},
		Story: "Entries that the backup has not acknowledged are forgotten when others are applied.",
		Edits: []Edit{{replicaLog, "floor = min(floor, r.peer.match)", "floor = min(floor, r.applied)"}},
	}, {
		Name: "ordered-meanwhile-not-applied", Rules: []string{"T1", "I12"},
		Story: "What was ordered while the state was sent is taken in with it, and not applied.",
		Edits: []Edit{{replicaBack, "u.staging.Apply(e)\n", "if u.delta {\n\t\t\tu.staging.Apply(e)\n\t\t}\n"}},
	}, {
		Name: "nothing-for-chunks", Rules: []string{"T5"},
		Story: "Writes that a transfer slows get no room for what the backup took in of it.",
		Edits: []Edit{{replicaMove, "t.took += c.size", "t.took += 0 * c.size"}},
		// Writes wait until the transfer is done, and no longer: nothing goes wrong but
		// the time that they take.
		Run: []Command{{"go", "test", "./kvservice/replica", "-run", "TestTranscripts/T5$"}},
	}, {
		Name: "leftover-kept-under-the-missing", Rules: []string{"T4"},
		Story: "A returning server that gets what it lacks keeps what it held above its commit index, which nobody may have committed.",
		Edits: []Edit{{replicaDelta, "r.log.cut(r.commit)\n\tfor _, e := range u.entries {\n",
			"for _, e := range u.entries {\n\t\tif e.Index <= r.log.last() {\n\t\t\tcontinue\n\t\t}\n"}},
	}, {
		Name: "missing-after-the-last-held", Rules: []string{"T4"},
		Story: "What is missing is counted from the last entry that the returning server holds, committed or not, and its epoch is not compared.",
		Edits: []Edit{
			{replicaBack, "m.DeltaIndex = r.commit\n\t\tm.DeltaEpoch, _ = r.log.stamp(r.commit)", "m.DeltaIndex = r.log.last()\n\t\tm.DeltaEpoch, _ = r.log.stamp(r.log.last())"},
			{replicaDelta, "return own == epoch\n", "return own == epoch || epoch > 0\n"},
			{replicaDelta, "if !u.told || m.DeltaIndex != r.commit || m.DeltaEpoch != epoch {", "if !u.told || m.DeltaIndex != r.log.last() {"},
			{replicaDelta, "u.end, u.endEpoch, u.endTime = r.commit, epoch, time\n", "u.end, u.endEpoch, u.endTime = r.log.last(), epoch, time\n"},
			{replicaDelta, "r.log.cut(r.commit)\n", ""},
		},
	}, {
		Name: "lineage-not-compared", Rules: []string{"T4"},
		Story: "The epoch of the entry that the missing ones follow is not compared.",
		Edits: []Edit{
			{replicaDelta, "return own == epoch\n", "return own == epoch || epoch > 0\n"},
		},
		Run: returns,
		Equivalent: "The missing entries follow the receiver's commit index, and what is committed at an index is the same everywhere (I5) " +
			"in one cluster, which N1 sees to. The epoch guards against a commit index that a broken disk brings back.",
	}, {
		Name: "missing-one-late", Rules: []string{"T4"},
		Story: "The first of the missing entries is left out: the end of a range mistaken for its beginning.",
		Edits: []Edit{{replicaDelta, "window: []chunkStart{{beyond: true, after: after}}", "window: []chunkStart{{beyond: true, after: min(after+1, r.applied)}}"}},
	}, {
		Name: "missing-and-trimmed", Rules: []string{"T4", "T5"},
		Story: "What is missing is to be sent, though the primary has forgotten some of it.",
		Edits: []Edit{{replicaDelta, "if index == 0 || index < r.log.base || index > r.applied {", "if index == 0 || index > r.applied {"},
			{replicaDelta, "own, _ := r.log.stamp(index)\n\treturn own == epoch\n", "return true\n"}},
	}, {
		Name: "old-durable-counts-for-the-missing", Rules: []string{"T4", "L2"},
		Story: "The disk's word for what was cut counts for the missing entries that came in its place.",
		Edits: []Edit{{replicaDelta, "r.durable = min(r.durable, r.commit)\n\tr.generation++\n", ""}},
	}, {
		Name: "missing-installed-before-the-disk", Rules: []string{"T4", "L2"},
		Story: "The missing entries count as installed when any of them is durable.",
		Edits: []Edit{{replicaLog, "u.installDurable = u.installed && r.durable >= u.end", "u.installDurable = u.installed"}},
		Run:   returns,
		Equivalent: "A disk is told of the missing entries in one record, and confirms records as wholes and in order (replica.Effects.Keep: Durable is called with the record's Last), " +
			"so that the first word of the new generation covers them all. The line guards against a shell that confirms entry by entry",
	}, {
		Name: "offer-not-sent-again", Rules: []string{"T4", "P1"},
		Story: "A lost offer of a transfer is not sent again.",
		Edits: []Edit{{replicaPeer, "p.transfer.offered = false\n", ""}},
	}, {
		Name: "refused-and-sent-again", Rules: []string{"T4", "P1"},
		Story: "A primary whose missing entries are refused sends the same ones again, for ever.",
		Edits: []Edit{{replicaDelta, "case t.snapshot == nil && !r.follows(m.DeltaIndex, m.DeltaEpoch):\n\t\tr.sendWhole()", "case t.snapshot == nil && !r.follows(m.DeltaIndex, m.DeltaEpoch):\n\t\tt.taken, t.sent, t.window = 0, 0, []chunkStart{{beyond: true, after: t.after}}"}},
		Run:   returns,
		Equivalent: "A backup's commit index does not move between the answer to the first offer of an epoch and the installation: it has no authority, takes no forwards (L1), " +
			"and a former life's answers name another incarnation (N1). So no second answer differs from the first, and nothing is refused. " +
			"The line is there for a backup whose disk brings back another log than it told of.",
	},
}
