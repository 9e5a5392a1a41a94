package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandemkv/tandem/sysmonitor"
)

// startOverCommand gives up what a view service has kept.
type startOverCommand struct {
	data     string
	loseData bool
	json     bool
}

func newStartOverCommand() *cobra.Command {
	c := new(startOverCommand)
	cmd := &cobra.Command{
		Use:   "start-over",
		Short: "Give up a group that is down, and all its data",
		Long: `Give up the cluster whose views are kept in a directory, WITH ALL ITS DATA, so that
the next view service there begins a new, empty one. The view service must not run.

A group is down when no server is left that is known to hold all the data. Nothing
but the return of one of those servers brings the data back: the view service waits
for it, for as long as it takes, and never starts over by itself. Before you do,

  - see which servers it waits for: this command tells, and changes nothing unless
    it is told to; if one of them still runs and is only cut off, mend the network;
  - save what a server that still runs has, with tandem dump --server ADDR: it may
    lack the last updates, but is a whole table of one moment;
  - end every server of the old cluster.

Then the record of the old cluster is put aside under another name, and the next
tandem monitor --data on the directory begins a new cluster. Servers and clients of
the old one are refused there: a server joins the new one when it is started anew.

Without --lose-data it asks, if standard input is a terminal, for the cluster's id;
nothing is changed unless that is typed in.

Exit status: 0 the cluster was given up; 1 it was not, for nobody confirmed it; 3 it
could not be done: no views are kept there, they are damaged, the directory is in
use, or cannot be written; 64 the command line was not understood.`,
		Example: `  tandem monitor start-over --data /var/lib/tandem              # tells, and asks
  tandem monitor start-over --data /var/lib/tandem --lose-data  # does it`,
		Args: noArguments,
		RunE: c.run,
	}
	cmd.Flags().StringVar(&c.data, "data", "", "`directory` in which the view service kept its views")
	cmd.Flags().BoolVar(&c.loseData, "lose-data", false, "do it, without asking; no environment variable sets this")
	cmd.Flags().Lookup("lose-data").Annotations = map[string][]string{commandLineOnly: {}}
	cmd.Flags().BoolVar(&c.json, "json", false, "tell the answer as one JSON object")
	return cmd
}

// givenUp is the answer: what was kept, and what became of it.
type givenUp struct {
	Cluster string          `json:"cluster"` // in hexadecimal, as everywhere
	View    uint            `json:"view"`
	Active  uint            `json:"active"` // the last number that was activated
	Primary string          `json:"primary"`
	Backup  string          `json:"backup"`  // empty: none
	InSync  []givenUpServer `json:"in_sync"` // who holds all the data, as far as is on record
	GivenUp bool            `json:"given_up"`
	Kept    string          `json:"kept"` // where its record is now, if it was
}

type givenUpServer struct {
	Addr        string `json:"addr"`
	Incarnation string `json:"incarnation"`
}

func (c *startOverCommand) run(cmd *cobra.Command, _ []string) error {
	if c.data == "" {
		return usageErrorf("--data: say which directory")
	}
	data, err := sysmonitor.OpenData(c.data)
	if err != nil {
		return failed(err)
	}
	defer data.Close()
	found := describeData(data)
	if found.View == 0 {
		return failed(fmt.Errorf("%s: the cluster was given up already, and no other has formed", c.data))
	}
	if !c.json {
		found.tell(cmd.OutOrStdout(), c.data)
	}
	confirmed, err := c.confirm(cmd, found.Cluster)
	if err != nil {
		return failed(err)
	}
	if confirmed {
		if found.Kept, err = data.StartOver(); err != nil {
			return failed(fmt.Errorf("give cluster %s up: %w", found.Cluster, err))
		}
		found.GivenUp = true
	}
	return c.conclude(cmd.OutOrStdout(), found)
}

// confirm asks whether it is to be done, unless the flags say so.
func (c *startOverCommand) confirm(cmd *cobra.Command, cluster string) (bool, error) {
	if c.loseData {
		return true, nil
	}
	stderr, stdin := cmd.ErrOrStderr(), cmd.InOrStdin()
	if !isTerminal(stdin) {
		fmt.Fprintln(stderr, "Nothing was changed. To give the cluster up, WITH ALL ITS DATA: --lose-data.")
		return false, nil
	}
	fmt.Fprintf(stderr, "This gives the cluster up, WITH ALL ITS DATA. If you mean it, type its id: ")
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if strings.TrimSpace(line) != cluster {
		fmt.Fprintln(stderr, "That is not it. Nothing was changed.")
		return false, nil
	}
	return true, nil
}

// conclude tells what was done.
func (c *startOverCommand) conclude(w io.Writer, found givenUp) error {
	switch {
	case c.json:
		if err := writeJSON(w, found); err != nil {
			return err
		}
	case found.GivenUp:
		fmt.Fprintf(w, "Given up. Its record is in %s.\nThe next tandem monitor --data %s begins a new cluster; start every server anew.\n", found.Kept, c.data)
	}
	if !found.GivenUp {
		return concluded(broken)
	}
	return nil
}

// describeData returns what a view service has kept.
func describeData(d *sysmonitor.Data) givenUp {
	v, active := d.View()
	g := givenUp{Cluster: fmt.Sprintf("%x", v.Cluster), View: v.Viewnum, Active: active, Primary: v.Primary, Backup: v.Backup}
	g.InSync = []givenUpServer{}
	for _, s := range d.InSync() {
		g.InSync = append(g.InSync, givenUpServer{s.Addr, fmt.Sprintf("%x", s.Incarnation)})
	}
	return g
}

// tell writes what was kept for people.
func (g *givenUp) tell(w io.Writer, dir string) {
	backup := g.Backup
	if backup == "" {
		backup = "none"
	}
	fmt.Fprintf(w, "%s holds the views of cluster %s\n", dir, g.Cluster)
	fmt.Fprintf(w, "  last view    %d, primary %s, backup %s\n", g.View, g.Primary, backup)
	switch {
	case g.Active == 0:
		fmt.Fprintf(w, "  last active  none: nothing can have been stored\n")
	case len(g.InSync) == 0:
		fmt.Fprintf(w, "  last active  %d\n  all data     no server holds it any more: those that did have started anew\n", g.Active)
	default:
		fmt.Fprintf(w, "  last active  %d\n", g.Active)
		for _, s := range g.InSync {
			fmt.Fprintf(w, "  all data     %s, incarnation %s: while it runs, or is only cut off, do not start over\n", s.Addr, s.Incarnation)
		}
	}
}
