package workload

import (
	"context"
	"errors"

	"github.com/tandemkv/tandem"
	"github.com/tandemkv/tandem/kvservice"
	"github.com/tandemkv/tandem/simulation"
)

// perform makes one call of a client. That a key is absent is an answer and no error.
func perform(ctx context.Context, k *kvservice.KVClient, in simulation.Input) (out simulation.Output, err error) {
	switch in.Kind {
	case simulation.Get:
		if out.Value, err = k.GetContext(ctx, in.Key); errors.Is(err, tandem.ErrNoKey) {
			err = nil
		}
	case simulation.Put:
		err = k.PutContext(ctx, in.Key, in.Value)
	case simulation.PutHash:
		out.Value, err = k.PutHashContext(ctx, in.Key, in.Value)
	case simulation.Append:
		err = k.AppendContext(ctx, in.Key, in.Value)
	case simulation.Delete:
		if err = k.DeleteContext(ctx, in.Key); errors.Is(err, tandem.ErrNoKey) {
			out.Absent, err = true, nil
		}
	case simulation.CompareAndSwap:
		out.Swapped, err = k.CompareAndSwapContext(ctx, in.Key, in.Expected, in.Value)
	default:
		panic(in.Kind)
	}
	return out, err
}
