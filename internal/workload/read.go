package workload

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

// ReadAll has a client read keys, readers at a time, who are written down as who and
// the numbers after it. Each read may take as long as bound says. The error is that of
// the first that nobody answered; the others go on.
func (h *History) ReadAll(ctx context.Context, k *kvservice.KVClient, who, readers int, keys []string, bound time.Duration) error {
	var (
		wg   sync.WaitGroup
		once sync.Once
		err  error
	)
	for r := range readers {
		wg.Go(func() {
			for i := r; i < len(keys); i += readers {
				ctx, cancel := context.WithTimeout(ctx, bound)
				op := h.Do(ctx, k, who+r, simulation.Input{Kind: simulation.Get, Key: keys[i]})
				cancel()
				if op.Verdict != simulation.Done {
					once.Do(func() { err = fmt.Errorf("read %q: %s", keys[i], op.Err) })
				}
			}
		})
	}
	wg.Wait()
	return err
}
