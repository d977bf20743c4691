package spread

import (
	"bytes"
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judge reads an answer. SPREAD documents neither its success nor its errors, so that this is a
// careful reading: an error member in a 200 is a rejection unless it names a code that is a better
// known status, and text that is no JSON is taken for success and noted.
func (s *Spread) judge(answer destination.Answer) *destination.Error {
	if answer.Status == http.StatusNotFound {
		// No method takes the event, not even the one that creates: the address is wrong.
		return &destination.Error{Kind: destination.Misconfigured, Code: answer.Status, Reason: "SPREAD has nothing at this address"}
	}
	if judged := destination.Judge(answer.Status, answer.Header); judged != nil {
		return judged
	}
	if answer.Cut {
		return &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer broke off"}
	}
	if len(bytes.TrimSpace(answer.Body)) == 0 {
		return nil
	}
	if !gjson.ValidBytes(answer.Body) {
		s.odd.Do(func() {
			s.log.Warn("spread answered with something other than JSON; taken for success, said once", "code", answer.Status)
		})
		return nil
	}
	return judgeJSON(answer)
}

func judgeJSON(answer destination.Answer) *destination.Error {
	body := gjson.ParseBytes(answer.Body)
	if isEmpty(body.Get("error")) && isEmpty(body.Get("errors")) {
		return nil
	}
	for _, path := range []string{"code", "error.code", "status"} {
		if code := body.Get(path).Int(); code >= 400 && code <= 599 {
			return destination.Judge(int(code), answer.Header)
		}
	}
	return &destination.Error{Kind: destination.Rejected, Code: answer.Status, Reason: "SPREAD answered with an error"}
}

// isEmpty tells whether a member says nothing, in any way that PHP may write it.
func isEmpty(value gjson.Result) bool {
	switch value.Type {
	case gjson.Null, gjson.False:
		return true
	case gjson.JSON:
		nothing := true
		value.ForEach(func(_, _ gjson.Result) bool {
			nothing = false
			return false
		})
		return nothing
	default:
		text := value.String()
		return text == "" || text == "0"
	}
}
