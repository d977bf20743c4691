package linkedin

import (
	"net/http"

	"github.com/tidwall/gjson"

	"kvit/destination"
)

// judgeRequest reads what an answer says of the request as a whole. Of one with an invalid event LinkedIn takes none
// (422, https://github.com/rudderlabs/rudder-transformer/blob/140426033dab098df9ef904e495fb3091896a691/src/v1/destinations/linkedin_ads/networkHandler.js).
func judgeRequest(answer destination.Answer) *destination.Error {
	switch answer.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return misconfigured(answer.Status, "LinkedIn has nothing at this address: check base_url and version")
	case http.StatusUpgradeRequired:
		return misconfigured(answer.Status, "LinkedIn does not serve this version any more: set a newer version")
	default:
		return destination.Judge(answer.Status, answer.Header)
	}
}

// judge reads an answer to a request of n events: the list of elements has a status for each, in their order.
func judge(answer destination.Answer, n int) ([]destination.Result, *destination.Error) {
	if judged := judgeRequest(answer); judged != nil {
		return nil, judged
	}
	elements := gjson.GetBytes(answer.Body, "elements").Array()
	if answer.Cut || !gjson.ValidBytes(answer.Body) || len(elements) != n {
		return nil, &destination.Error{Kind: destination.Ambiguous, Code: answer.Status, Reason: "the answer does not say what became of the events"}
	}
	results := make([]destination.Result, n)
	for i, element := range elements {
		results[i] = result(element.Get("status"), answer.Status)
	}
	return results, nil
}

func result(status gjson.Result, code int) destination.Result {
	said := status.Int()
	switch {
	case status.Type != gjson.Number, said < 200, said > 599:
		return destination.Result{Code: code, Err: &destination.Error{Kind: destination.Ambiguous, Code: code, Reason: "the answer does not say what became of the event"}}
	default:
		return destination.Result{Code: int(said), Err: destination.Judge(int(said), nil)}
	}
}
