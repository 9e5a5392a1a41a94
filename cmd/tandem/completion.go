package main

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tandemkv/tandem/kvservice"
)

// Bounds on the completion of keys. Whoever presses a key waits for it, and reads
// what it brings.
const (
	completionTime = 300 * time.Millisecond
	completionKeys = 1000
)

// completeKey completes the first argument of a command to keys of the cluster. It
// is silent: nobody asked for an error.
func (c *connection) completeKey(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(args) > 0 || setFromEnvironment(cmd) != nil {
		return nil, directive
	}
	client, err := c.client()
	if err != nil {
		return nil, directive
	}
	defer client.Close()
	keys, whole := keysBeginning(cmd.Context(), client, begun)
	if !whole {
		return cobra.AppendActiveHelp(nil, "too many keys begin like that: type more of it"), directive
	}
	var completions []cobra.Completion
	for _, key := range keys {
		if completable(key) {
			completions = append(completions, key)
		}
	}
	return completions, directive
}

// keysBeginning returns the keys with a prefix, as far as they can be had in a moment.
// whole is false if there are too many: some of them would look like all, and have a
// longer beginning in common.
func keysBeginning(ctx context.Context, client *kvservice.KVClient, prefix string) (keys []string, whole bool) {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	err := client.ScanContext(ctx, prefix, func(key, _ string) bool {
		keys = append(keys, key)
		return len(keys) <= completionKeys
	})
	if err != nil {
		return nil, true
	}
	return keys, len(keys) <= completionKeys
}

// completable reports whether a key survives the way through a shell's completion,
// which takes lines, cuts them at tabs and trims them, and whether the command would
// then take it for a key.
func completable(key string) bool {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	return key != "" && key[0] != '-' && strings.TrimSpace(key) == key && utf8.ValidString(key) && !strings.ContainsFunc(key, odd)
}

// The names that usage texts have for the values of flags that are files and directories.
const (
	fileValue      = "file"
	directoryValue = "directory"
)

// completeFile completes an argument, or the value of a flag, to names of files.
func completeFile(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// completeFlags has the flags of a tree of commands complete to file names if usage
// calls their value a file, to directories if it calls it a directory, and to nothing otherwise.
func completeFlags(cmd *cobra.Command) {
	cmd.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		// Neither fails but for a flag that is not there.
		switch name, _ := pflag.UnquoteUsage(f); name {
		case fileValue:
			_ = cmd.RegisterFlagCompletionFunc(f.Name, completeFile)
		case directoryValue:
			_ = cmd.MarkFlagDirname(f.Name)
		}
	})
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}

// completeWords completes the value of a flag to one of these words, and of one that
// takes a list with commas, the last of it.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	// It fails for a flag that is not there, or was told already.
	_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := ""
		if cmd.Flag(flag).Value.Type() == "stringSlice" {
			before = begun[:strings.LastIndex(begun, ",")+1]
		}
		var completions []cobra.Completion
		for _, word := range words {
			if strings.HasPrefix(before+word, begun) {
				completions = append(completions, before+word)
			}
		}
		return completions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	})
}
