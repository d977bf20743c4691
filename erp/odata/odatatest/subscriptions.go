package odatatest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// subscription is one of Business Central's: it ends after three days unless it is renewed.
type subscription struct {
	id, url, resource string
	expires           time.Time
	etag              int
}

// Subscriptions are the resources that are subscribed to, sorted.
func (s *Server) Subscriptions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, one := range s.subscriptions {
		list = append(list, one.resource)
	}
	slices.Sort(list)
	return list
}

// LoseSubscriptions forgets all, as after a failure of the receiver.
func (s *Server) LoseSubscriptions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = nil
}

// subscribe answers at /api/v2.0/subscriptions; false: the address is another one.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request) bool {
	rest, here := strings.CutPrefix(r.URL.Path, "/api/v2.0/subscriptions")
	if !here {
		return false
	}
	switch r.Method {
	case http.MethodGet:
		rows := []map[string]any{}
		for _, one := range s.subscriptions {
			rows = append(rows, one.row())
		}
		writeJSON(w, http.StatusOK, map[string]any{"value": rows})
	case http.MethodPost, http.MethodPatch:
		s.makeSubscription(w, r, strings.Trim(rest, "()'"))
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	return true
}

func (s *Server) makeSubscription(w http.ResponseWriter, r *http.Request, id string) {
	var body struct{ NotificationURL, Resource, ClientState string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.ClientState == "" || !shakesHands(body.NotificationURL) {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": "BadRequest", "message": "The notificationUrl did not answer the handshake."}})
		return
	}
	resource := strings.Trim(body.Resource, "/")
	at := slices.IndexFunc(s.subscriptions, func(one subscription) bool {
		return one.id == id || id == "" && one.url == body.NotificationURL && one.resource == resource
	})
	switch {
	case r.Method == http.MethodPost && at >= 0:
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": "Internal_EntityWithSameKeyExists", "message": "exists"}})
		return
	case r.Method == http.MethodPatch && at < 0:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodPatch && r.Header.Get("If-Match") != s.subscriptions[at].tag():
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	case at < 0:
		s.subscriptions = append(s.subscriptions, subscription{id: "s" + strconv.Itoa(s.requests), url: body.NotificationURL, resource: resource})
		at = len(s.subscriptions) - 1
	}
	one := &s.subscriptions[at]
	one.expires, one.etag = time.Now().Add(72*time.Hour), one.etag+1
	status := http.StatusOK
	if r.Method == http.MethodPost {
		status = http.StatusCreated
	}
	writeJSON(w, status, one.row())
}

func (s subscription) tag() string { return `W/"` + strconv.Itoa(s.etag) + `"` }

func (s subscription) row() map[string]any {
	return map[string]any{
		"@odata.etag": s.tag(), "subscriptionId": s.id, "notificationUrl": s.url, "resource": s.resource,
		"expirationDateTime": s.expires.UTC().Format(time.RFC3339),
	}
}

// shakesHands tells whether a receiver gives a token back.
func shakesHands(address string) bool {
	const token = "handshake-1"
	answer, err := http.Post(address+"?validationToken="+url.QueryEscape(token), "text/plain", nil)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	return err == nil && answer.StatusCode == http.StatusOK && string(body) == token
}

// EndSubscriptions makes all end so soon, unless they are renewed.
func (s *Server) EndSubscriptions(in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.subscriptions {
		s.subscriptions[i].expires = time.Now().Add(in)
	}
}

// SubscribedFor is how long the subscription lasts that ends first; 0: there is none.
func (s *Server) SubscribedFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var least time.Duration
	for i, one := range s.subscriptions {
		if left := time.Until(one.expires); i == 0 || left < least {
			least = left
		}
	}
	return least
}
