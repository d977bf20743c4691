package destination

// Importer is a Destination whose provider takes the past as a file that somebody uploads, where its API is not meant for
// that.
type Importer interface {
	// ImportHeader is the first line of the file.
	ImportHeader() []string
	// ImportRow is the line of an event, as long as the header; nil if the file has none for such an event. The error
	// says, as Send's would, why the event can never be taken.
	ImportRow(event Event) ([]string, *Error)
}
