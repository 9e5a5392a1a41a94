// Package cluster runs Tandem as operating-system processes: a view service and
// servers, each a process of the tandem binary, on this host or, by a command
// such as ssh, on another. Its parts are useful apart: a [Process] is for who kills
// and freezes by plan, a [Supervisor] for who wants a cluster that is looked after.
//
// A [Process] is one of them. It is told to end by its standard input (the
// flag --until-eof): a line for a departure in order, and the end of the input
// for an end at once. The operating system closes that input when the process
// that holds its other side ends, in whatever way, so children do not outlive
// who started them, also where no signal reaches, as over ssh.
//
// A [Supervisor] runs all the processes of a [Config], which may come from a file.
// It starts each again that ends, at its port, and tells what happens as a stream
// of events: to processes, as it sees it, and to views, as the view service does.
package cluster
