package destination

import (
	"log/slog"

	"kvit/config"
)

// Settings are what kvit.yaml says of one destination by the keys that are its kind's own.
type Settings interface {
	// Make makes the destination, or returns an error that names the wrong key.
	Make(common Common) (Destination, error)
}

// Common is what destinations of all kinds are made with, beside their Settings.
type Common struct {
	Events map[string]string // changes to what the provider calls events, see Mapping.With
	HTTP   ClientOptions
	Logger *slog.Logger // may be nil
}

// Reader makes a config.Kind.Read of a function that reads a kind's own keys.
func Reader[S Settings](read func(*config.Section) S) func(*config.Section) any {
	return func(s *config.Section) any { return read(s) }
}
