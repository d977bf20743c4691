package destination

import "context"

// Batcher is a destination whose provider takes many events in one request. Its Send is SendOne.
type Batcher interface {
	Destination

	// Encode writes one event in the provider's form; an error is an event that the provider can
	// never take, so that it spoils no batch. The same event always gives the same Encoded.
	Encode(event Event) (Encoded, *Error)

	// SendBatch tries once to deliver items of one Group within Traits.Batch, oldest first. Each
	// result belongs to the item at its place. An error speaks for the request as a whole: Rejected
	// means that some item in it is at fault and none was taken, so that halves of it may be.
	SendBatch(ctx context.Context, items []Encoded) ([]Result, *Error)
}

// Encoded is an event in the form of its provider, ready to be put into a request.
type Encoded struct {
	Group string // items of different groups never share a request
	Body  []byte
}

// Result is what became of one item of a request that the provider answered.
type Result struct {
	Code int    // the response code
	Err  *Error // nil: delivered
}

// Limits bound one request; 0 is no limit.
type Limits struct {
	Events int
	Bytes  int // of the items' bodies together, one byte for the comma after each included
}

// SendOne sends one event as a batch of its own.
func SendOne(ctx context.Context, b Batcher, event Event) (int, error) {
	item, rejected := b.Encode(event)
	if rejected != nil {
		return 0, rejected
	}
	results, failed := b.SendBatch(ctx, []Encoded{item})
	if failed != nil {
		return failed.Code, failed
	}
	if results[0].Err != nil {
		return results[0].Code, results[0].Err
	}
	return results[0].Code, nil
}

// Taken are the results of a request in which every item was taken.
func Taken(items []Encoded, code int) []Result {
	results := make([]Result, len(items))
	for i := range results {
		results[i].Code = code
	}
	return results
}
