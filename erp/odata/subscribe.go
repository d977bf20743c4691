package odata

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"kvit/config"
	"kvit/erp"
)

// Notifications are where Business Central says that something has changed, and what it shows there; without an address it says nothing.
type Notifications struct {
	URL   string
	State config.Secret
}

// readNotifications reads the section; the source's name is the end of the address.
func readNotifications(s *config.Section) Notifications {
	n := s.Section("notifications")
	if !n.Present() {
		return Notifications{}
	}
	defer n.Finish()
	return Notifications{
		URL: n.RequiredText("url", config.HTTPURL(func(string) bool { return s.Boolean("allow_private", false) }, "http only with allow_private: true")),
		State: n.RequiredSecret("state", config.VisibleASCII, func(text string) string {
			if len(text) < 32 {
				return "is shorter than 32 characters"
			}
			return ""
		}),
	}
}

// subscriber is a connector whose ERP can notify.
type subscriber struct {
	*connector
	notifications Notifications
	address       string // of subscriptions
	resource      string // of the company, as subscriptions name it
}

// subscription is one as Business Central has it.
type subscription struct {
	ID       string    `json:"subscriptionId"`
	URL      string    `json:"notificationUrl"`
	Resource string    `json:"resource"`
	Expires  time.Time `json:"expirationDateTime"`
	Etag     string    `json:"@odata.etag"`
}

// Subscribe makes the subscriptions that are missing, and renews the others, which end after three days.
func (s *subscriber) Subscribe(ctx context.Context) (until time.Time, err error) {
	var answer struct {
		Value []subscription `json:"value"`
	}
	if _, err := s.client.Get(ctx, s.address, nil, &answer); err != nil {
		return time.Time{}, err
	}
	for _, c := range s.Collections {
		made, err := s.renew(ctx, s.resource+"/"+c.Name, answer.Value)
		if err != nil {
			return time.Time{}, err
		}
		if made.Expires.IsZero() {
			return time.Time{}, erp.Fail(erp.Malformed, "a subscription has no end")
		}
		if until.IsZero() || made.Expires.Before(until) {
			until = made.Expires
		}
	}
	return until, nil
}

func (s *subscriber) renew(ctx context.Context, resource string, there []subscription) (made subscription, err error) {
	method, address, header := http.MethodPost, s.address, http.Header{"Content-Type": {"application/json"}}
	for _, one := range there {
		if one.URL != s.notifications.URL || !strings.EqualFold(strings.Trim(one.Resource, "/"), strings.Trim(resource, "/")) {
			continue
		}
		method, address = http.MethodPatch, s.address+"("+escape(literal(one.ID))+")"
		header.Set("If-Match", "*")
		if one.Etag != "" {
			header.Set("If-Match", one.Etag)
		}
	}
	body, err := json.Marshal(map[string]string{"notificationUrl": s.notifications.URL, "resource": resource, "clientState": s.notifications.State.Reveal()})
	if err != nil {
		return made, err
	}
	_, err = s.client.Do(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
		if err != nil {
			return nil, erp.Fail(erp.Misconfigured, "the address is no URL")
		}
		req.Header = header.Clone()
		return req, nil
	}, &made)
	return made, err
}

// NotificationState is what notifications have to show; not set: there are none.
func (o BusinessCentralOptions) NotificationState() config.Secret { return o.Notifications.State }
