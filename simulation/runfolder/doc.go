// Package runfolder leaves a folder behind for a simulated run, so that a failure
// can be looked at, sent to somebody, and run again:
//
//	summary.txt           what broke and what should be true, the state of the
//	                      servers, the command that replays it: begin here
//	diagram.html          the messages over time, with who was what when
//	log.txt               everything that happened, a line each, by virtual time
//	history.txt           what the clients asked for and were told
//	history.jsonl         the same for programs, one operation a line
//	linearizability.html  porcupine's picture, if that is what failed
//	options.json          all that the run is made of
//	schedule.json         the same, with the faults that struck one by one in
//	                      place of chance: leave some out, and run it again
//
// The simulation itself is pure and knows no files; this is where it meets the disk.
package runfolder
