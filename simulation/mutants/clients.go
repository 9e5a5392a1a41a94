package mutants

// clients breaks the rules of clients.
var clients = []Mutant{
	{
		Name: "retry-under-a-new-number", Rules: []string{"S1"},
		Story: "A retry takes the next number, and the servers cannot know it for what it is.",
		Edits: []Edit{{clerkRequest, "c.checkNumber(r)\n", "if r.sent > 1 {\n\t\t\tr.number++\n\t\t\tr.sent = 1\n\t\t}\n\t\tc.checkNumber(r)\n"}},
	}, {
		Name: "retry-in-a-new-session", Rules: []string{"S1"},
		Story: "A request whose attempt failed is sent again in another session.",
		Edits: []Edit{{clerkRequest, "c.backOff(r)\n\tc.want(\"an attempt failed\")", "if r.kind == update && r.session != nil {\n\t\tc.drop(r)\n\t\tc.requeue(r)\n\t\tc.serve()\n\t}\n\tc.backOff(r)\n\tc.want(\"an attempt failed\")"}},
	}, {
		Name: "number-used-again", Rules: []string{"S1"},
		Story: "A request that was given up leaves its number to the next one.",
		Edits: []Edit{
			{clerkSession, "r.session, r.number, r.sent = s, s.number+1, 0", "r.session, r.number, r.sent = s, max(s.number, 1), 0"},
			{clerkRequest, "case r.number != s.number || sent != s.sent:", "case r.number != s.number && r.sent > 1:"},
		},
	}, {
		Name: "expired-means-not-run", Rules: []string{"S5", "S3"},
		Story: "A request that was refused because its session expired is sent under a new name, though an earlier attempt may have run.",
		Edits: []Edit{{clerkReply, "if r.sent > 1 {\n\t\tc.finish(r, Done{Err: lost(tandem.ErrSessionExpired)", "if r.sent > 1<<30 {\n\t\tc.finish(r, Done{Err: lost(tandem.ErrSessionExpired)"}},
	}, {
		Name: "given-up-means-not-run", Rules: []string{"S5"},
		Story: "The caller of a request that was given up is told that it did not run.",
		Edits: []Edit{{clerkRequest, "if r.sent > refused {", "if r.sent > refused+1<<30 {"}},
	}, {
		Name: "one-attempt-not-counted", Rules: []string{"S5"},
		Story: "The attempt under way is not counted among those that may have run.",
		Edits: []Edit{{clerkRequest, "c.finish(r, Done{Err: err, Outcome: c.outcome(r, 0)})", "c.finish(r, Done{Err: err, Outcome: c.outcome(r, 1)})"}},
	}, {
		Name: "too-large-means-not-run", Rules: []string{"S5"},
		Story: "A retry that is refused as too large is told as not run, though an earlier attempt may have run.",
		Edits: []Edit{{clerkReply, "return c.outcome(r, 1)\n", "return tandem.DidNotRun\n"}},
	}, {
		Name: "view-not-asked-for", Rules: []string{"C1"},
		Story: "A client that has a view goes on using it, whatever the servers say.",
		Edits: []Edit{{clerkView, "c.ask.wanted = true\n", "c.ask.wanted = c.view.Viewnum == 0\n"}},
	}, {
		Name: "wrong-server-no-reason", Rules: []string{"C1"},
		Story: "A client does not take ErrWrongServer for a reason to ask for the view.",
		Edits: []Edit{{clerkReply, "case tandem.ErrWrongServer:\n\t\tc.failed(r)", "case tandem.ErrWrongServer:\n\t\tc.backOff(r)"}},
	}, {
		Name: "silence-no-reason", Rules: []string{"C1"},
		Story: "A client whose primary is silent asks for no view, and goes on waiting.",
		Edits: []Edit{{"kvservice/clerk/clerk.go", "c.want(\"an attempt takes long\")", "_ = r"},
			{"kvservice/clerk/clerk.go", "c.abandon(r)\n\t\t\tc.failed(r)\n", "c.abandon(r)\n\t\t\tc.backOff(r)\n"}},
	}, {
		Name: "news-not-acted-upon", Rules: []string{"C2"},
		Story: "A request whose server was replaced is taken back when the new view comes, and forgotten.",
		Edits: []Edit{{clerkView, "r.wait, r.failures = 0, 0\n\t\tc.dispatch(r)\n", "r.wait, r.failures = 0, 0\n"}},
	}, {
		Name: "backoff-never-ends", Rules: []string{"C2", "P1"},
		Story: "A request that backs off is not sent when its time has come.",
		Edits: []Edit{{"kvservice/clerk/clerk.go", "r.wait--\n\t\t\tc.dispatch(r)", "r.wait--"}},
	}, {
		Name: "spins", Rules: []string{"C2"},
		Story: "A request that failed goes out again at once, for ever.",
		Edits: []Edit{{clerkRequest, "c.backOff(r)\n\tc.want(\"an attempt failed\")", "c.want(\"an attempt failed\")\n\tc.dispatch(r)"}},
	}, {
		Name: "session-for-two", Rules: []string{"C3"},
		Story: "A session that serves a request is given to another.",
		Edits: []Edit{{clerkSession, "c.free = c.free[:last]\n", ""}},
	}, {
		Name: "session-not-given-back", Rules: []string{"C3"},
		Story: "Sessions are not given back to the pool, which runs dry.",
		Edits: []Edit{{clerkSession, "c.free = append(c.free, s)\n\tif !c.closed {\n\t\tc.serve()", "if !c.closed {\n\t\tc.serve()"}},
	},
}
