package mutants

// adoption breaks the rules by which a server adopts a view, and gains and loses
// its authority.
var adoption = []Mutant{
	{
		Name: "receiver-by-address", Rules: []string{"N1"},
		Story: "A message is for whoever has the address, also for a server that restarted there since it was sent.",
		Edits: []Edit{{replicaView, "if m.To != r.cfg.Self || m.View.Group", "if m.To.Addr != r.cfg.Self.Addr || m.View.Group"}},
		Run:   searched,
	}, {
		Name: "both-ends-by-address", Rules: []string{"N1"},
		Story: "Both ends of a message are known by their addresses, so that a restarted backup's answers count as its former self's.",
		Edits: []Edit{
			{replicaView, "if m.To != r.cfg.Self || m.View.Group", "if m.To.Addr != r.cfg.Self.Addr || m.View.Group"},
			{replicaView, "if m.From != m.View.BackupServer() || m.To != m.View.PrimaryServer() {", "if m.From.Addr != m.View.Backup || m.To.Addr != m.View.Primary {"},
		},
		Run: searched,
	}, {
		Name: "old-view-accepted", Rules: []string{"F1"},
		Story: "A message of an older view is taken as if it were of this one: a deposed primary's forward, say.",
		Edits: []Edit{
			{replicaView, "if m.View.Viewnum < r.view.Viewnum {", "if m.View.Viewnum > r.view.Viewnum+1<<30 {"},
			{replicaView, "if m.View != r.view {\n\t\treturn", "if m.View.Viewnum > r.view.Viewnum {\n\t\treturn"},
		},
	}, {
		Name: "older-view-adopted", Rules: []string{"F1"},
		Story: "Whatever view was heard last is adopted, also an older one that comes late.",
		Edits: []Edit{{replicaView, "if v.Viewnum <= r.view.Viewnum {", "if v.Viewnum == r.view.Viewnum {"}},
	}, {
		Name: "deposed-and-does-not-care", Rules: []string{"A1"},
		Story: "A primary that a new view no longer names keeps its authority.",
		Edits: []Edit{{replicaView, "r.authority = None // rule A1\n\t\tif wasPrimary {", "if wasPrimary {"}},
	}, {
		Name: "joint-for-ever", Rules: []string{"A1"},
		Story: "A joint primary keeps its authority in the next view that names it, though the backup is another.",
		Edits: []Edit{{replicaView, "} else {\n\t\tr.authority = None // rule A1\n\t}", "}"}},
	}, {
		Name: "alone-without-a-word", Rules: []string{"A2"},
		Story: "A primary without a backup serves at once, without being told that its view is active.",
		Edits: []Edit{{replicaView, "r.acknowledgeAlone() // rule A2; solo only when told that it is active\n",
			"r.acknowledgeAlone()\n\t\tif r.authority == None {\n\t\t\tr.becomeSolo(\"A2\")\n\t\t}\n"}},
	}, {
		Name: "any-activation-will-do", Rules: []string{"A2"},
		Story: "A primary without a backup serves once it hears that some view was active: the one before its own, say.",
		Edits: []Edit{{replicaView, "if active == r.view.Viewnum && active != 0 && !r.activated", "if active != 0 && !r.activated"}},
	}, {
		Name: "activation-missed", Rules: []string{"A2"},
		Story: "Only word of the activation makes a primary solo, never a later view that proves it: the group stops when the word is lost.",
		Edits: []Edit{{replicaView, "if r.authority == None {\n\t\tr.becomeSolo(\"A2\")\n\t}\n\tr.startTransfer()", "r.startTransfer()"}},
	}, {
		Name: "solo-once-too-often", Rules: []string{"A3", "A5"},
		Story: "A primary that was joint goes on alone in a newer view without a backup, as if it had never acknowledged one.",
		Edits: []Edit{{replicaView, "if r.authority == Solo && !r.ackedWithBackup {", "if r.authority != None {\n\t\tr.authority = Solo"}},
	}, {
		Name: "stalls-in-every-view", Rules: []string{"A3"},
		Story: "A solo primary loses its authority in a newer view that names it, and stalls until it hears that it is active.",
		Edits: []Edit{{replicaView, "if r.authority == Solo && !r.ackedWithBackup {", "if r.authority == Solo && r.ackedWithBackup {"}},
		Run:   searched,
	}, {
		Name: "acknowledged-with-a-gap", Rules: []string{"A4"},
		Story: "The view is acknowledged once the transfer is installed, though the backup lacks what was committed meanwhile.",
		Edits: []Edit{{replicaView, "|| r.peer.match < r.commit {", "{"}},
	}, {
		Name: "acknowledged-with-a-gap-unasserted", Rules: []string{"A4"},
		Story: "The same, with the server's own assertion taken out.",
		Edits: []Edit{{replicaView, "|| r.peer.match < r.commit {", "{"},
			{replicaMain, "if r.acknowledged == r.view.Viewnum && r.commit > r.peer.match {", "if r.commit > r.log.last() {"}},
	}, {
		Name: "acknowledged-before-the-transfer", Rules: []string{"A4"},
		Story: "The primary acknowledges a view with a backup before the transfer to it is done.",
		Edits: []Edit{{replicaView, "if r.view.Backup == \"\" {\n\t\tr.acknowledgeAlone() //", "r.acknowledgeAlone()\n\tif r.view.Backup == \"\" {\n\t\t//"}},
	}, {
		Name: "never-joint", Rules: []string{"A4"},
		Story: "The primary acknowledges the view and goes on committing alone, without waiting for its backup.",
		Edits: []Edit{
			{replicaMove, "r.authority = Joint\n", "r.acknowledged = r.view.Viewnum\n"},
		},
	}, {
		Name: "gives-the-backup-up", Rules: []string{"A5"},
		Story: "A primary that cannot reach its backup goes on alone instead of waiting for another view.",
		Edits: []Edit{{replicaPeer, "r.note(\"V8\", 0, \"reports its backup unreachable\")", "r.authority = Solo\n\tr.advance()"}},
	}, {
		Name: "heir-tidies-its-log", Rules: []string{"A6"},
		Story: "A promoted backup cuts the entries that it does not know to be committed.",
		Edits: []Edit{{replicaView, "r.authority = Solo\n\tr.ackedWithBackup = false\n",
			"r.authority = Solo\n\tr.ackedWithBackup = false\n\tr.log.cut(r.commit)\n\tr.durable = min(r.durable, r.commit)\n"}},
	}, {
		Name: "deposed-tidies-its-log", Rules: []string{"A7"},
		Story: "A superseded primary cuts the entries that it has not committed, and may be called back later.",
		Edits: []Edit{{replicaView, "r.refuseInFlight()\n",
			"r.refuseInFlight()\n\tr.log.cut(r.commit)\n\tr.durable = min(r.durable, r.commit)\n"}},
	}, {
		Name: "backup-tidies-its-log", Rules: []string{"A7"},
		Story: "A backup that adopts a newer view cuts the entries that it does not know to be committed.",
		Edits: []Edit{{replicaView, "wasPrimary := r.isPrimary()\n",
			"wasPrimary := r.isPrimary()\n\tif !wasPrimary {\n\t\tr.log.cut(r.commit)\n\t\tr.durable = min(r.durable, r.commit)\n\t}\n"}},
	}, {
		Name: "deposed-says-it-did-not-run", Rules: []string{"A7", "S5"},
		Story: "A superseded primary says of what is in its log that it did not run.",
		Edits: []Edit{{replicaAsk, "r.refuse(id, tandem.ErrWrongServer, tandem.OutcomeUnknown)", "r.refuse(id, tandem.ErrWrongServer, tandem.DidNotRun)"}},
		Run:   searched,
	}, {
		Name: "deposed-keeps-who-waits", Rules: []string{"A7"},
		Story: "A superseded primary goes on holding the requests in flight, by an index at which another entry may come to stand.",
		Edits: []Edit{{replicaView, "r.refuseInFlight()\n", ""}},
	},
}
