package simulation

import "strings"

// predicates says in words what must be true: the invariants of
// docs/protocol.md as its table has them, the rules that a run can break as their
// tables have them in short, and what else the world demands.
var predicates = map[string]string{
	"I1":  "EpochMonotone: no server's view number falls, nor the view service's, and no server is ahead of the view service",
	"I2":  "ViewChain: once any view has been active, the primary of e+1 is in the in-sync set, by address and incarnation",
	"I3":  "InSyncHasCommitted: each member of the in-sync set whose incarnation is intact holds each committed operation",
	"I4":  "OneCommitter: at most one server is solo, or joint with its backup still in that epoch and incarnation",
	"I5":  "Agreement: committed logs are prefixes of one global log",
	"I6":  "AppliedCommitted: applied <= commit <= last",
	"I7":  "PrefixChain: when joint, having acknowledged the view, in one epoch: the backup's commit <= the primary's commit <= the backup's last",
	"I8":  "AckImpliesSync: a view that P has acknowledged has a backup that holds all that P committed",
	"I9":  "NoLostReply: an operation answered OK is in the global log",
	"I10": "ExactlyOnce: each (session, number) takes effect at most once, and every answer to it is that of the first",
	"I11": "ReadFresh: the state that a read saw includes all that was committed when it was invoked",
	"I12": "SnapshotExact: an installed state equals the log applied up to s",
	"I13": "LeaseExclusion: while a lease holds, no other server is active in a higher view",
	"P1":  "Progress: once faults stop and a member of the in-sync set is reachable, every pending request is answered in bounded time",

	"C2":  "retry on news, else back off",
	"L1":  "one sequencer, no gaps",
	"L6":  "what decides an effect travels with the entry",
	"S1":  "a retry is the same request",
	"S3":  "verdicts only when applied",
	"S5":  "a definite answer, or a plain \"unknown\"",
	"V0":  "one cluster, and a monitor that lost its memory says so",
	"V10": "durable before announced, and deterministic",
	"V4":  "one change at a time, from an active view",
	"V7":  "suspicion, and hints that hasten it",
	"V8":  "the primary reports a backup that it cannot reach",
	"V3":  "the primary's exact ping activates the view",
	"V11": "a server may leave in order",

	"Linearizable":      "each operation takes effect at one moment between its call and its return, and returns what that moment's state says",
	"LinearizableStore": "as Linearizable, of a history's beginning with its scans: each shows all keys at one moment between its call and its return",
	"MessageImmutable":  "nothing that was sent changes after it was sent",
	"RefusalHasCode":    "a refused request is answered with an error that has a code on the wire",
	"ReplyOnce":         "each request is answered at most once, and only a request that was made is",
	"ReplyUnderstood":   "a reply that a server makes can be decoded",
	"DoneOnce":          "a client is told of the request that is under way, once",
	"ScanIndex":         "the pages of a scan show one state",
}

// Predicate says in words what the invariant, or rule, of a Failure demands; ""
// if it is the assertion of a core, whose words stand in the failure.
func Predicate(name string) string { return predicates[name] }

// Name returns the invariant's name with the word for it, as in "I5 Agreement".
func (f *Failure) Name() string {
	if word, _, ok := strings.Cut(Predicate(f.Invariant), ": "); ok {
		return f.Invariant + " " + word
	}
	return f.Invariant
}
