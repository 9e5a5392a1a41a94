package workload

import (
	"context"
	"fmt"
	"sync"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

// ReadAll has a client read keys, readers at a time, who are written down as who and
// the numbers after it. The error is that of the first read that nobody answered; the
// others go on, each until the context ends.
func (h *History) ReadAll(ctx context.Context, k *kvservice.KVClient, who, readers int, keys []string) error {
	var (
		wg   sync.WaitGroup
		once sync.Once
		err  error
	)
	for r := range readers {
		wg.Go(func() {
			for i := r; i < len(keys); i += readers {
				op := h.Do(ctx, k, who+r, simulation.Input{Kind: simulation.Get, Key: keys[i]})
				if op.Verdict != simulation.Done {
					once.Do(func() { err = fmt.Errorf("read %q: %s", keys[i], op.Err) })
				}
			}
		})
	}
	wg.Wait()
	return err
}
