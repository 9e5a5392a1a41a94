package mutants

// sessions breaks the rules of running exactly once.
var sessions = []Mutant{
	{
		Name: "retry-runs-again", Rules: []string{"S3"},
		Story: "A request that reaches the log a second time is executed a second time.",
		Edits: []Edit{{storeMain, "case c.Number == ses.Number:\n", "case c.Number == ses.Number && c.Number == 0:\n"}},
	}, {
		Name: "stale-request-runs", Rules: []string{"S3"},
		Story: "A late copy of a request that its session has left behind is executed.",
		Edits: []Edit{{storeMain, "case c.Number < ses.Number:\n", "case c.Number == 0 && c.Number < ses.Number:\n"}},
	}, {
		Name: "expired-session-runs", Rules: []string{"S3", "S4"},
		Story: "A request of a session that has expired is executed, for nothing speaks against it.",
		Edits: []Edit{{storeMain, "return bareReply(tandem.ErrSessionExpired) // rule S3: and not executed", "return s.execute(c, sole)"}},
	}, {
		Name: "expired-said-on-arrival", Rules: []string{"S3"},
		Story: "A server says that a session has expired when its own table does not know it, which may be behind the log.",
		Edits: []Edit{{storeMain, "if !ok || number == 0 || number != ses.Number {", "if !ok && session != 0 {\n\t\treturn bareReply(tandem.ErrSessionExpired), true\n\t}\n\tif !ok || number == 0 || number != ses.Number {"}},
	}, {
		Name: "stale-said-on-arrival", Rules: []string{"S3"},
		Story: "A server compares a request with its own table on arrival, and takes a higher number for a repetition of the last.",
		Edits: []Edit{{storeMain, "if !ok || number == 0 || number != ses.Number {", "if !ok || number == 0 || ses.Number == 0 || number > ses.Number+1 {"}},
	}, {
		Name: "any-stored-reply-will-do", Rules: []string{"S3", "I10"},
		Story: "The stored reply of a session answers whichever request comes.",
		Edits: []Edit{{storeMain, "if !ok || number == 0 || number != ses.Number {", "if !ok || number == 0 || ses.Number == 0 {"}},
	}, {
		Name: "joined-by-session", Rules: []string{"S3"},
		Story: "A request is joined to whatever its session has in flight, without a look at the number.",
		Edits: []Edit{
			{replicaAsk, "p.name = requestName{req.Session, req.Number}", "p.name = requestName{req.Session, 0}"},
			{replicaAsk, "r.requests.bySession[requestName{req.Session, req.Number}]; ok {", "r.requests.bySession[requestName{req.Session, 0}]; ok {"},
		},
	}, {
		Name: "reply-not-stored", Rules: []string{"S2"},
		Story: "The number of a request is stored and its reply is not, so that a retry is answered with nothing.",
		Edits: []Edit{{storeMain, "reply = s.execute(c, sole)\n\ts.sessions.use(at, s.index, s.time, reply)", "reply = s.execute(c, sole)\n\ts.sessions.use(at, s.index, s.time, bareReply(tandem.OK))"}},
	}, {
		Name: "expired-by-the-primary-alone", Rules: []string{"S4"},
		Story: "The primary drops sessions that are old by its own clock, without an entry in the log.",
		Edits: []Edit{{storeMain, "c := Command{Kind: Expire, AgeMillis: uint64(s.limits.SessionTTLMillis)}\n\treturn c.Append(nil)", "s.sessions.expire(now, uint64(s.limits.SessionTTLMillis))\n\treturn nil"}},
	}, {
		Name: "everybody-expires", Rules: []string{"S4", "L1"},
		Story: "Every replica orders the expiry of sessions, and not the primary alone.",
		Edits: []Edit{{replicaLog, "if r.authority == None || r.draining() || !r.roomToOrder(0) {", "if r.draining() || !r.roomToOrder(0) {"}},
	}, {
		Name: "use-not-noted", Rules: []string{"S4"},
		Story: "A request that is stale, or that is answered from the table, does not count as a use of its session.",
		Edits: []Edit{
			{storeMain, "s.sessions.use(at, s.index, s.time, reply)\n\t\treturn reply // rule S3", "return reply // rule S3"},
			{storeMain, "s.sessions.use(at, s.index, s.time, reply)\n\t\treturn bareReply(tandem.ErrStaleRequest)", "return bareReply(tandem.ErrStaleRequest)"},
		},
		Run: []Command{{"simulate", "--seeds", "1:100", "--clients", "8", "--faults", "ghost,cut-two-way,duplicate,delay,freeze", "--workers", "1", "--no-shrink", "--run-dir="}},
	}, {
		Name: "session-table-without-bound", Rules: []string{"S4"},
		Story: "A full session table opens one more.",
		Edits: []Edit{{storeMain, "if uint64(s.sessions.len()) >= c.MaxSessions {\n\t\treturn bareReply", "if uint64(s.sessions.len()) > c.MaxSessions {\n\t\treturn bareReply"}},
	}, {
		Name: "expired-by-age-too-soon", Rules: []string{"S4"},
		Story: "Sessions expire a millisecond before they should.",
		Edits: []Edit{{storeTable, "if !ok || age(now, t.rows[i].UsedMillis) < ageMillis {", "if !ok || age(now, t.rows[i].UsedMillis)+1 < ageMillis {"}},
		// A retry has to come in the very millisecond: of 800 seeds one found it, or none.
		Run: []Command{{"go", "test", "./kvservice/store", "-run", "TestSessions"}},
	}, {
		Name: "compared-with-the-wrong-value", Rules: []string{"S3", "I12"},
		Story: "A swap that is refused changes the value all the same.",
		Edits: []Edit{{"kvservice/store/write.go", "return Result{Err: tandem.OK}\n\t\t}\n\t\ts.set(w.Key, w.Value)\n\t\treturn Result{Err: tandem.OK, Swapped: true}", "s.set(w.Key, w.Value)\n\t\t\treturn Result{Err: tandem.OK}\n\t\t}\n\t\ts.set(w.Key, w.Value)\n\t\treturn Result{Err: tandem.OK, Swapped: true}"}},
	}, {
		Name: "scan-of-a-moving-state", Rules: []string{"R2", "I11"},
		Story: "The pages of a scan are read from the present state and said to be of the first page's.",
		Edits: []Edit{{"kvservice/store/scan.go", "c = cursor{index: index, data: s.data.Copy()}", "c = cursor{index: index, data: s.data}"}},
	},
}
