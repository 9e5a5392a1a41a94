package mutants

// The files that mutants change.
const (
	viewRules    = "sysmonitor/view/rules.go"
	viewState    = "sysmonitor/view/state.go"
	viewService  = "sysmonitor/view/service.go"
	viewDetector = "sysmonitor/view/detector.go"
	replicaMain  = "kvservice/replica/replica.go"
	replicaView  = "kvservice/replica/view.go"
	replicaLog   = "kvservice/replica/log.go"
	replicaPeer  = "kvservice/replica/primary.go"
	replicaBack  = "kvservice/replica/backup.go"
	replicaMove  = "kvservice/replica/transfer.go"
	replicaDelta = "kvservice/replica/delta.go"
	replicaLease = "kvservice/replica/lease.go"
	replicaAsk   = "kvservice/replica/requests.go"
	storeMain    = "kvservice/store/store.go"
	storeTable   = "kvservice/store/session.go"
	storeSnap    = "kvservice/store/snapshot.go"
	clerkReply   = "kvservice/clerk/reply.go"
	clerkRequest = "kvservice/clerk/request.go"
	clerkSession = "kvservice/clerk/session.go"
	clerkView    = "kvservice/clerk/view.go"
)

// The view service checks each view that it makes. These take one of its
// assertions away, so that a mutant is not stopped by the very core it breaks.
var (
	noChainCheck = Edit{viewRules, `assert(s.active == 0 || s.isInSync(p), "I2 ViewChain")`, ``}
	noStepCheck  = Edit{viewRules, `assert(b.Addr == "" || (s.active == now.Viewnum && p == now.PrimaryServer() && now.Backup == ""),
		"V4: a backup is named only by an active view's primary that has none")`, ``}
)

// views breaks the rules of the view service.
var views = []Mutant{
	{
		Name: "goes-on-without-its-memory", Rules: []string{"V0"},
		Story: "A view service that lost its memory begins again at view 1, whatever the servers say that they know.",
		Edits: []Edit{
			{viewService, "case s.state.view.Viewnum == 0 && args.Cluster != 0:", "case s.state.view.Viewnum == 0 && args.Cluster != 0 && args.Me == \"\":"},
			{viewService, "case args.Viewnum > s.told.view.Viewnum:\n\t\ts.lose", "case args.Viewnum > s.told.view.Viewnum && args.Me == \"\":\n\t\ts.lose"},
			{viewService, "case s.state.view.Viewnum > 0 && args.Cluster != 0 && args.Cluster != s.state.cluster:",
				"case s.state.view.Viewnum > 0 && args.Cluster != 0 && args.Cluster != s.state.cluster && args.Me == \"\":"},
		},
	}, {
		Name: "first-view-at-once", Rules: []string{"V0"},
		Story: "A view service without a view does not listen before it makes the first: a fresh server is heard before one of the cluster that was forgotten.",
		Edits: []Edit{{viewService, "return s.state.view.Viewnum == 0 && s.listen > 0", "return false"}},
		// In no world does it listen: the lab's first server is named at once.
		Run: []Command{{"go", "test", "./sysmonitor/view", "-run", "TestTranscripts/v0_cluster$"}},
	}, {
		Name: "given-up-reads-as-lost", Rules: []string{"V0"},
		Story: "A view service whose cluster was given up takes the pings of its servers for a sign that its memory is lost, and announces nothing.",
		Edits: []Edit{{viewState, "if id == cluster {", "if id == cluster && id == 0 {"}},
		// No world gives a cluster up: that is for people.
		Run: []Command{{"go", "test", "./sysmonitor/view", "-run", "TestTranscripts/v0_cluster$"}},
	}, {
		Name: "server-goes-over", Rules: []string{"V0"},
		Story: "A server adopts the view of another cluster if its number is higher.",
		Edits: []Edit{{replicaView, "if v.Group != r.cfg.Group || (r.view.Viewnum != 0 && v.Cluster != r.view.Cluster) {", "if v.Group != r.cfg.Group {"}},
	}, {
		Name: "client-goes-over", Rules: []string{"V0"},
		Story: "A client goes over to the cluster that has taken the place of its own, and reads from it.",
		Edits: []Edit{{clerkView, "case c.ask.doubt:\n\t\tc.refuseCluster(v)", "case c.ask.doubt:\n\t\tc.adopt(v)"}},
	}, {
		Name: "anyone-follows-a-dead-primary", Rules: []string{"V1", "V9"},
		Story: "When the primary that was alone dies, any live server is made primary, as before the first activation: an empty one.",
		Edits: []Edit{{viewRules, "case s.active == 0:\n\t\treturn s.nextUnstored()",
			"case s.active == 0 || (s.view.Backup == \"\" && s.isSuspected(s.view.PrimaryServer())):\n\t\treturn s.nextUnstored()"}},
	}, {
		Name: "anyone-follows-unasserted", Rules: []string{"V1", "V9"},
		Story: "The same, with the view service's own assertion taken out.",
		Edits: []Edit{{viewRules, "case s.active == 0:\n\t\treturn s.nextUnstored()",
			"case s.active == 0 || (s.view.Backup == \"\" && s.isSuspected(s.view.PrimaryServer())):\n\t\treturn s.nextUnstored()"}, noChainCheck},
	}, {
		Name: "first-primary-waited-for", Rules: []string{"V1"},
		Story: "A first primary that dies before it acknowledges is waited for, as in the lab, for ever.",
		Edits: []Edit{{viewRules, "if s.view.Viewnum > 0 && !s.isSuspected(p) {", "if s.view.Viewnum > 0 {"}},
	}, {
		Name: "late-ping-taken", Rules: []string{"V2"},
		Story: "Pings are taken in whatever order they come, so that an old 0 of a living primary reads as its crash.",
		Edits: []Edit{{viewDetector, "if at >= 0 && seq != 0 && seq <= w.lives[at].seq {", "if at > 0 && seq != 0 && seq <= w.lives[at].seq {"}},
	}, {
		Name: "former-life-heard", Rules: []string{"V2"},
		Story: "A late ping of a server's former life is taken for news while the present life is alive.",
		Edits: []Edit{{viewDetector, "if at > 0 && presentAlive {", "if at > 0 && presentAlive && seq == 0 {"}},
	}, {
		Name: "backup-acknowledges", Rules: []string{"V3"},
		Story: "The backup's ping with the current number activates the view, before the transfer to it is done.",
		Edits: []Edit{{viewState, "return s.active < s.view.Viewnum && number == s.view.Viewnum && who == s.view.PrimaryServer() &&",
			"if s.active < s.view.Viewnum && number == s.view.Viewnum && s.view.Backup != \"\" && who == s.view.BackupServer() {\n\t\treturn true\n\t}\n\t" +
				"return s.active < s.view.Viewnum && number == s.view.Viewnum && who == s.view.PrimaryServer() &&"}},
	}, {
		Name: "old-number-acknowledges", Rules: []string{"V3"},
		Story: "Any ping of the primary activates the present view, also one that acknowledges the view before it.",
		Edits: []Edit{
			{viewState, "number == s.view.Viewnum && who == s.view.PrimaryServer() &&", "number > 0 && who == s.view.PrimaryServer() &&"},
			{viewDetector, "if args.Viewnum == s.view.Viewnum && s.active < s.view.Viewnum {", "if args.Viewnum > 0 && s.active < s.view.Viewnum {"},
		},
	}, {
		Name: "announced-as-active", Rules: []string{"V3", "A2"},
		Story: "Replies to pings name the view that was announced as the one that is active.",
		Edits: []Edit{{viewService, "s.out.Replies = append(s.out.Replies, Reply{request, tandem.PingReply{\n\t\tView: s.told.view, Active: s.told.active,",
			"s.out.Replies = append(s.out.Replies, Reply{request, tandem.PingReply{\n\t\tView: s.told.view, Active: s.told.view.Viewnum,"}},
	}, {
		Name: "new-members-at-once", Rules: []string{"V3", "V5"},
		Story: "The members of a view count as in sync from the moment the view is made, and not only once it is acknowledged.",
		Edits: []Edit{{viewRules, "s.reported, s.backupLost = false, false\n",
			"s.reported, s.backupLost = false, false\n\tif next.Backup != \"\" {\n\t\ts.inSync = []tandem.Server{next.PrimaryServer(), next.BackupServer()}\n\t}\n"}},
	}, {
		Name: "promoted-with-a-new-backup", Rules: []string{"V4"},
		Story: "A promotion takes an idle server as backup in the same step, as the lab has it.",
		Edits: []Edit{{viewRules, "return s.with(b, tandem.Server{}), \"V4\", fmt.Sprintf(\"primary %s %s\", name(p), s.why(p))",
			`for _, k := range s.servers {
			if k.presence == alive && !k.leaving && k.Addr != p.Addr && k.Addr != b.Addr {
				return s.with(b, k.Server), "V4", "two changes at once"
			}
		}
		return s.with(b, tandem.Server{}), "V4", fmt.Sprintf("primary %s %s", name(p), s.why(p))`}, noStepCheck},
	}, {
		Name: "promoted-with-a-new-backup-asserted", Rules: []string{"V4"},
		Story: "The same, with the view service's own assertion left in.",
		Edits: []Edit{{viewRules, "return s.with(b, tandem.Server{}), \"V4\", fmt.Sprintf(\"primary %s %s\", name(p), s.why(p))",
			`for _, k := range s.servers {
			if k.presence == alive && !k.leaving && k.Addr != p.Addr && k.Addr != b.Addr {
				return s.with(b, k.Server), "V4", "two changes at once"
			}
		}
		return s.with(b, tandem.Server{}), "V4", fmt.Sprintf("primary %s %s", name(p), s.why(p))`}},
	}, {
		Name: "backup-before-acknowledgement", Rules: []string{"V4", "A2"},
		Story: "A backup is named for a primary that is alone and has not acknowledged that yet.",
		Edits: []Edit{{viewRules, "case s.active == s.view.Viewnum:\n", "case s.active == s.view.Viewnum || s.view.Backup == \"\":\n"}, noStepCheck},
	}, {
		Name: "idle-server-never-named", Rules: []string{"V4"},
		Story: "An idle server is never taken as backup: one more crash and the group is down.",
		Edits: []Edit{{viewRules, "if k.presence == alive && !k.leaving && !k.cooling && k.Addr != p.Addr {", "if k.presence == alive && !k.leaving && k.cooling && k.Addr != p.Addr {"}},
	}, {
		Name: "inactive-view-stands", Rules: []string{"V5"},
		Story: "A primary that dies before it acknowledges its view is waited for, as in the lab, for ever.",
		Edits: []Edit{{viewRules, "if m := s.heir(p); m.Addr != \"\" {", "if m := s.heir(p); m.Addr != \"\" && m == p {"}},
	}, {
		Name: "unfilled-backup-promoted", Rules: []string{"V5", "V9"},
		Story: "From a view that was never acknowledged its backup is promoted, with the transfer to it half done.",
		Edits: []Edit{{viewRules, "for _, m := range s.inSync {\n\t\tif m != p && s.isLive(m) {",
			"for _, m := range append([]tandem.Server{s.view.BackupServer()}, s.inSync...) {\n\t\tif m.Addr != \"\" && m != p && s.isLive(m) {"}, noChainCheck},
	}, {
		Name: "in-sync-by-address", Rules: []string{"V5", "V6"},
		Story: "Membership of the in-sync set goes by the address, so that a server that came back empty still counts.",
		Edits: []Edit{{viewState, "if m == who {\n\t\t\treturn true", "if m.Addr == who.Addr {\n\t\t\treturn true"}},
		Equivalent: "Whoever is asked about here is a member of the view, by its incarnation, and a member that restarted is suspected for that very " +
			"reason (V6). That the two do not part needs incarnations; lab servers have none.",
	}, {
		Name: "restart-unnoticed", Rules: []string{"V6"},
		Story: "A server that pings again under another incarnation is taken for its former self.",
		Edits: []Edit{{viewState, "sameName := k.Incarnation == c.Server.Incarnation\n\tif sameName && !(c.Number == 0 && k.number > 0) {", "sameName := k.Incarnation == c.Server.Incarnation\n\tif sameName || k.presence == alive {"}},
	}, {
		Name: "restart-takes-its-place", Rules: []string{"V6"},
		Story: "A server that restarted takes over its former self's place in the view and in the in-sync set, for the address is the same.",
		Edits: []Edit{{viewState, "if sameName || k.Incarnation == 0 {\n\t\ts.expel(k.Server)\n\t}",
			`for j := range s.inSync {
		if s.inSync[j].Addr == c.Server.Addr {
			s.inSync[j] = c.Server
		}
	}`}},
	}, {
		Name: "silence-not-noticed", Rules: []string{"V7"},
		Story: "A server that stops pinging is never suspected.",
		Edits: []Edit{{viewDetector, "if w.left--; w.left <= 0 {\n\t\t\tw.left = 0", "if w.left--; w.left < -1<<30 {\n\t\t\tw.left = 0"}},
	}, {
		Name: "hint-is-enough", Rules: []string{"V7"},
		Story: "A server whose connection closed is suspected with the next tick: one that is well, and pings again, has no time to.",
		Edits: []Edit{{viewDetector, "w.left = min(w.left, d.hintTicks())", "w.left = 1"}},
	}, {
		Name: "refused-though-it-pings", Rules: []string{"V7"},
		Story: "A refused dial makes a server suspected also when it has pinged since its connection closed.",
		Edits: []Edit{{viewService, "if s.LastSeq(who) <= seq {", "if seq < 1<<63 {"}},
	}, {
		Name: "report-of-any-view", Rules: []string{"V8"},
		Story: "The report of an unreachable backup counts in whatever view it arrives, also in one that was made since.",
		Edits: []Edit{{viewState, "if s.view.Backup != \"\" && c.Number == s.view.Viewnum &&", "if s.view.Backup != \"\" && c.Number > 0 &&"}},
		Run:   []Command{{"simulate", "--seeds", "1:400", "--faults", "monitor-restart,report,suspect,drop", "--workers", "1", "--no-shrink", "--run-dir="}},
	}, {
		Name: "report-by-anyone", Rules: []string{"V8"},
		Story:      "The report of an unreachable backup counts whoever makes it: a deposed primary, say.",
		Edits:      []Edit{{viewState, "c.By == s.view.PrimaryServer() && c.Server == s.view.BackupServer() {", "c.Server == s.view.BackupServer() {"}},
		Equivalent: "A report has to name the present view, and none but that view's primary ever makes one in it.",
	}, {
		Name: "report-ignored", Rules: []string{"V8"},
		Story: "The report of an unreachable backup is not acted upon.",
		Edits: []Edit{{viewState, "s.reported = true\n", ""}},
	}, {
		Name: "reported-never-again", Rules: []string{"V8"},
		Story: "A server that was once reported is never named again, however well it has been since.",
		Edits: []Edit{{viewState, "case CooledDown:\n\t\tif k := s.known(c.Server); k != nil {\n\t\t\tk.cooling = false", "case CooledDown:\n\t\tif k := s.known(c.Server); k != nil {\n\t\t\tk.cooling = true"}},
	}, {
		Name: "unfit-heir", Rules: []string{"V9"},
		Story: "The backup is promoted whether or not it is still the server that was in sync, and alive.",
		Edits: []Edit{{viewRules, "backupFit := s.isLive(b) && s.isInSync(b)", "backupFit := true"}},
	}, {
		Name: "told-before-kept", Rules: []string{"V10"},
		Story: "The view service announces a view before it is durable.",
		Edits: []Edit{{viewService, "s.pending = &r\n", "s.pending = &r\n\t\ts.told, s.out.News = announcement{r.View, r.Active}, true\n"}},
	}, {
		Name: "leaves-with-work-in-flight", Rules: []string{"V11"},
		Story: "A leaving primary hands over before what is in flight has committed.",
		Edits: []Edit{{replicaMain, "return r.draining() && r.commit == r.log.last() && r.applied == r.commit && len(r.requests.reads) == 0", "return r.draining()"}},
	}, {
		Name: "leaves-without-an-heir", Rules: []string{"V11"},
		Story: "A leaving primary hands over in mid-transfer, or with no backup at all.",
		Edits: []Edit{{replicaMain, "return r.draining() && r.commit == r.log.last()", "return r.commit == r.log.last()"}},
	}, {
		Name: "gone-before-the-heir-is-active", Rules: []string{"V11"},
		Story: "A primary that handed over is gone before the view without it is active, and the heir dies.",
		Edits: []Edit{{replicaMain, "return !r.held || reply.Active == reply.View.Viewnum", "return true"}},
	}, {
		Name: "departs-while-named", Rules: []string{"V11"},
		Story: "A leaving server departs as soon as its wish was heard, though the view still names it.",
		Edits: []Edit{{replicaMain, "if r.isMember() || reply.View.Viewnum != r.view.Viewnum {", "if reply.View.Viewnum != r.view.Viewnum {"}},
	},
}
