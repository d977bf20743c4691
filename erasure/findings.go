package erasure

// Finding is one thing that `kvit check` has to say.
type Finding struct {
	Key     string // of the configuration
	Problem string
	Advice  bool // works, but could be better
}
