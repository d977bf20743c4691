package shops

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenHeader is where Vendure hands out the token of a session.
const tokenHeader = "vendure-auth-token"

// graphql is one visitor of one of Vendure's two APIs.
type graphql struct {
	url   string
	token string // of the session, once the shop gave one
}

// vars is a JSON object, such as the variables of a GraphQL document.
type vars map[string]any

// failure is what Vendure answers in place of a result that it cannot give.
type failure struct {
	ErrorCode string
	Message   string
}

// ask sends a document and reads its data into `into`, which may be nil. An error of the API fails the
// test; so does one that Vendure gives as a result, if the document asks for errorCode and message.
func (g *graphql) ask(t testing.TB, document string, variables vars, into any) {
	t.Helper()
	data := g.data(t, document, variables)
	var results map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &results))
	for name, result := range results {
		var f failure
		_ = json.Unmarshal(result, &f) // lists and scalars are no failures
		require.Empty(t, f.ErrorCode, "%s: %s", name, f.Message)
	}
	if into != nil {
		require.NoError(t, json.Unmarshal(data, into))
	}
}

// data sends a document and returns the member data of the answer.
func (g *graphql) data(t testing.TB, document string, variables vars) json.RawMessage {
	t.Helper()
	response, text := request{
		method: http.MethodPost,
		url:    g.url,
		header: map[string]string{"Authorization": bearer(g.token)},
		body:   vars{"query": document, "variables": variables},
	}.send(t) //nolint:bodyclose // send has read and closed it
	if token := response.Header.Get(tokenHeader); token != "" {
		g.token = token
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	require.NoError(t, json.Unmarshal(text, &answer), "%s", text)
	require.Empty(t, answer.Errors, "%s", document)
	return answer.Data
}
