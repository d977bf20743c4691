package status

import "regexp"

// What looks like somebody's address or number within a reference: some shops make them of these, and what everybody may see is not the place to
// read them. A number in plain digits cannot be told from an order's, so that it counts only where the event is about a phone.
var (
	emailForm = regexp.MustCompile(`([^\s:;,<>"'()|])[^\s:;,<>"'()|]*(?:@|%40)[^\s:;,<>"'()|]+`)
	phoneForm = regexp.MustCompile(`(\+|\b00)[1-9](?:[ ().-]*\d){6,14}|\b(\d{2})\d{0,2}(?: \d{2,4}){2,5}\b`)
	smsKey    = regexp.MustCompile(`\b(sms_opt(?:in|out):)\+?\d{6,15}\b`)
)

// Masked is a text as pages, files and messages show it: what looks like an e-mail address is cut to its first letter, and a phone number to its
// beginning.
func Masked(text string) string {
	text = emailForm.ReplaceAllString(text, "$1…@…")
	text = smsKey.ReplaceAllString(text, "$1…")
	return phoneForm.ReplaceAllString(text, "$1$2…")
}
