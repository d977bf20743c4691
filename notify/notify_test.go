package notify_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/notify"
	"kvit/status"
	"kvit/store"
	"kvit/store/storetest"
)

func TestMain(m *testing.M) { storetest.Run(m) }

const (
	secret    = "whsec_ZXhhbXBsZS1vbmx5LXNpZ25pbmcta2V5LTMyYnl0ZXM="
	nextLook  = time.Minute
	aDay      = 24 * time.Hour
	longCheck = 15 * time.Second
)

// desk is a receiver of hooks, that can be told to answer with another status.
type desk struct {
	*httptest.Server

	mu      sync.Mutex
	status  int
	bodies  []string
	headers []http.Header
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{status: http.StatusOK}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bodies, d.headers = append(d.bodies, string(body)), append(d.headers, r.Header)
	w.WriteHeader(d.status)
}

func (d *desk) answer(status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status = status
}

// heard is what was posted so far, as type and subject.
func (d *desk) heard(t *testing.T) (list []string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, body := range d.bodies {
		var said struct {
			Type string `json:"type"`
			Data struct {
				Subject string `json:"subject"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &said))
		list = append(list, said.Type+" "+said.Data.Subject)
	}
	return list
}

func (d *desk) ids() (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.headers {
		list = append(list, h.Get("Webhook-Id"))
	}
	return list
}

func hookTo(name, url string) config.Channel {
	return config.Channel{Name: name, Kind: config.WebhookChannel, Label: "kvit", URL: config.NewSecret(url), Secret: config.NewSecret(secret), AllowPrivate: true}
}

// world is a database whose clock the test sets, and the state that processes read.
type world struct {
	t       *testing.T
	pool    *pgxpool.Pool
	shifted time.Duration

	mu  sync.Mutex
	now status.Status
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, pool: storetest.DB(t)}
}

// pass lets time pass by the database's clock.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.shifted += d
	storetest.ShiftClock(w.t, w.pool, w.shifted)
	w.pool.Reset() // sessions keep plans with the clock as it was
}

// disabled makes these the destinations whose receivers are gone; nothing else is wrong.
func (w *world) disabled(names ...string) {
	s := status.Status{At: time.Now(), Running: true}
	for _, name := range names {
		s.Destinations = append(s.Destinations, store.DestinationStatus{Name: name, Enabled: true, DisabledReason: new("it answered 410")})
	}
	w.is(s)
}

func (w *world) is(s status.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = s
}

// process is a kvit run on a machine.
func (w *world) process(machine string, channels ...config.Channel) *process {
	w.t.Helper()
	p := &process{t: w.t, metrics: prometheus.NewRegistry()}
	var err error
	p.Notifier, err = notify.New(notify.Options{
		DB: w.pool, Channels: channels, Machine: machine, Metrics: p.metrics, Logger: slog.New(slog.NewTextHandler(&p.log, nil)),
		Look: func(context.Context) (status.Status, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now, nil
		},
	})
	require.NoError(w.t, err)
	return p
}

type process struct {
	*notify.Notifier
	t       *testing.T
	metrics *prometheus.Registry
	log     safeBuilder
}

type safeBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (p *process) round() {
	p.t.Helper()
	require.NoError(p.t, p.Round(p.t.Context()))
}

// rounds are one a minute.
func (w *world) rounds(n int, p *process) {
	w.t.Helper()
	for range n {
		p.round()
		w.pass(nextLook)
	}
}

func TestToldOnceWhenItOpensOnceADayAndWhenItIsOver(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("hook", d.URL))
	w.disabled("crm")
	p.round()
	require.Empty(t, d.heard(t), "one look is not enough")
	p.round()
	require.Empty(t, d.heard(t), "nor are two in the same moment")
	w.pass(nextLook)
	w.rounds(3, p)
	require.Equal(t, []string{"alarm.opened crm"}, d.heard(t))

	w.pass(aDay - 5*time.Minute)
	p.round()
	require.Len(t, d.heard(t), 1, "not before a day is over")
	w.pass(5 * time.Minute)
	w.rounds(3, p)
	require.Equal(t, []string{"alarm.opened crm", "alarm.reminder crm"}, d.heard(t))
	w.pass(aDay)
	w.rounds(2, p)
	require.Len(t, d.heard(t), 3, "each day")

	w.disabled()
	p.round()
	require.Len(t, d.heard(t), 3, "one look is not enough here, either")
	w.pass(nextLook)
	w.rounds(3, p)
	require.Equal(t, "alarm.resolved crm", d.heard(t)[3])
	w.pass(aDay)
	p.round()
	require.Len(t, d.heard(t), 4)
	require.Len(t, slices.Compact(d.ids()), 4, "each is a message of its own")
}

func TestFlappingIsNotTold(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("hook", d.URL))
	for range 3 {
		w.disabled("crm")
		w.rounds(1, p)
		w.disabled()
		w.rounds(1, p)
	}
	require.Empty(t, d.heard(t))
	w.disabled("crm")
	w.rounds(2, p)
	for range 3 {
		w.disabled()
		w.rounds(1, p)
		w.disabled("crm")
		w.rounds(1, p)
	}
	require.Equal(t, []string{"alarm.opened crm"}, d.heard(t), "an alarm that is away for one look is still on")
}

func TestTwoProcessesSendOneMessage(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	w.disabled("crm", "ga4", "meta")
	processes := []*process{w.process("a", hookTo("hook", d.URL)), w.process("b", hookTo("hook", d.URL))}
	all := func() {
		var group sync.WaitGroup
		errs := make(chan error, 100)
		for _, p := range processes {
			for range 4 {
				group.Go(func() { errs <- p.Round(t.Context()) })
			}
		}
		group.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
	}
	all()
	w.pass(nextLook)
	all()
	heard := d.heard(t)
	slices.Sort(heard)
	require.Equal(t, []string{"alarm.opened crm", "alarm.opened ga4", "alarm.opened meta"}, heard)
	w.disabled()
	all()
	w.pass(nextLook)
	all()
	require.Len(t, d.heard(t), 6, "each resolved once, too")
}

func TestRestartRepeatsNothing(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	w.disabled("crm")
	w.rounds(2, w.process("a", hookTo("hook", d.URL)))
	w.rounds(2, w.process("a", hookTo("hook", d.URL)))
	w.disabled()
	w.rounds(2, w.process("b", hookTo("hook", d.URL)))
	w.rounds(2, w.process("b", hookTo("hook", d.URL)))
	require.Equal(t, []string{"alarm.opened crm", "alarm.resolved crm"}, d.heard(t))
}

// A process that ends while it sends leaves open whether the message has arrived: others wait, and then send it under the same id.
func TestProcessThatDiesWhileItSends(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	w.disabled("crm")
	dying, end := context.WithCancel(t.Context())
	defer end()
	sent := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d.ServeHTTP(httptest.NewRecorder(), r)
		close(sent)
		<-r.Context().Done()
	}))
	defer stuck.Close()
	first := w.process("a", hookTo("hook", stuck.URL))
	first.round()
	w.pass(nextLook)
	ended := make(chan error, 1)
	go func() { ended <- first.Round(dying) }()
	<-sent
	w.rounds(1, w.process("b", hookTo("hook", d.URL)))
	require.Len(t, d.heard(t), 1, "nobody else sends what is being sent")
	w.pass(5 * time.Minute)
	w.rounds(2, w.process("b", hookTo("hook", d.URL)))
	require.Equal(t, []string{"alarm.opened crm", "alarm.opened crm"}, d.heard(t), "it has not said that it was taken")
	require.Equal(t, d.ids()[0], d.ids()[1], "a receiver can tell the repeat")
	end()
	require.NoError(t, <-ended)
	failing, err := store.FailingChannels(t.Context(), w.pool, "")
	require.NoError(t, err)
	require.Empty(t, failing, "the one that was too late does not undo that")
}

func TestChannelThatIsBrokenIsTriedAgainAndStopsNoOther(t *testing.T) {
	t.Parallel()
	w, bad, good := newWorld(t), newDesk(t), newDesk(t)
	p := w.process("a", hookTo("bad", bad.URL), hookTo("good", good.URL))
	bad.answer(http.StatusInternalServerError)
	w.disabled("crm")
	w.rounds(4, p)
	require.Equal(t, []string{"alarm.opened crm"}, good.heard(t))
	tries := len(bad.heard(t))
	require.Greater(t, tries, 1)
	require.Len(t, slices.Compact(bad.ids()), 1, "a repeat has the id of the first attempt")
	require.Equal(t, tries, failures(t, p, "bad"))
	require.Zero(t, failures(t, p, "good"))
	require.Contains(t, p.log.text.String(), `channel=bad alarm=KvitDestinationDisabled subject=crm what=opened problem="HTTP 500"`)

	bad.answer(http.StatusNoContent)
	w.pass(15 * time.Minute)
	w.rounds(3, p)
	require.Len(t, bad.heard(t), tries+1, "once it is taken it is not sent again")
	require.Len(t, good.heard(t), 1)
}

// failures is the counter of a channel's failures.
func failures(t *testing.T, p *process, channel string) int {
	t.Helper()
	families, err := p.metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "kvit_notification_failures_total" && m.GetLabel()[0].GetValue() == channel {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	t.Fatal("no metric")
	return 0
}

// A hook that hangs keeps no other from being told in the same round.
func TestChannelThatHangsStopsNoOther(t *testing.T) {
	t.Parallel()
	w, good := newWorld(t), newDesk(t)
	release := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hung.Close()
	defer close(release)
	p := w.process("a", hookTo("a_hung", hung.URL), hookTo("good", good.URL))
	w.disabled("crm", "ga4")
	p.round()
	w.pass(nextLook)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = p.Round(ctx); close(ended) }()
	require.Eventually(t, func() bool { return len(good.heard(t)) == 2 }, longCheck, 10*time.Millisecond)
	cancel()
	<-ended
}

// Who was broken while an alarm came and went is told that it was, if that is not long ago.
func TestAlarmThatCameAndWentWhileAChannelWasBroken(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("hook", d.URL))
	d.answer(http.StatusBadGateway)
	w.disabled("crm")
	w.rounds(2, p)
	w.disabled()
	w.rounds(2, p)
	before := len(d.heard(t))
	d.answer(http.StatusOK)
	w.pass(20 * time.Minute)
	w.rounds(3, p)
	require.Equal(t, []string{"alarm.resolved crm"}, d.heard(t)[before:])
}

func TestCriticalOnly(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	c := hookTo("hook", d.URL)
	c.CriticalOnly = true
	w.is(status.Status{At: time.Now(), Running: true, Trouble: []store.TroubleOfHour{{Destination: "crm", Count: 99}}})
	w.rounds(3, w.process("a", c))
	require.Empty(t, d.heard(t))
	w.disabled("crm")
	w.rounds(2, w.process("a", c))
	require.Equal(t, []string{"alarm.opened crm"}, d.heard(t))
}

// A channel that is new is told of what is on, and of nothing that is over.
func TestNewChannel(t *testing.T) {
	t.Parallel()
	w, old, young := newWorld(t), newDesk(t), newDesk(t)
	w.disabled("crm", "ga4")
	w.rounds(2, w.process("a", hookTo("old", old.URL)))
	w.disabled("crm")
	w.rounds(2, w.process("a", hookTo("old", old.URL)))
	w.rounds(2, w.process("a", hookTo("old", old.URL), hookTo("young", young.URL)))
	require.Equal(t, []string{"alarm.opened crm"}, young.heard(t))
	require.Len(t, old.heard(t), 3)
}

// What cannot be read may be on: nothing is called over because of it.
func TestUnreadableStatusResolvesNothing(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("hook", d.URL))
	w.disabled("crm")
	w.rounds(2, p)
	w.is(status.Status{At: time.Now(), Running: true, Unreadable: []status.Unread{{What: "destinations", Problem: "timeout"}}})
	w.rounds(4, p)
	require.Equal(t, []string{"alarm.opened crm", "alarm.opened destinations"}, d.heard(t))
	w.disabled()
	w.rounds(3, p)
	require.Len(t, d.heard(t), 4)
}

// A clock is one machine's: that another is well says nothing about it, unless it has not been heard of for an hour.
func TestAlarmOfOneMachine(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	a, b := w.process("a", hookTo("hook", d.URL)), w.process("b", hookTo("hook", d.URL))
	wrong := status.Status{At: time.Now(), Running: true, Clocks: status.Clocks{Problem: "its clock is ahead"}}
	for range 3 {
		w.is(wrong)
		w.rounds(1, a)
		w.disabled()
		w.rounds(2, b)
	}
	require.Equal(t, []string{"alarm.opened "}, d.heard(t))
	w.rounds(2, a)
	require.Equal(t, []string{"alarm.opened ", "alarm.resolved "}, d.heard(t), "the machine itself has said so")

	w.is(wrong)
	w.rounds(2, a)
	w.disabled()
	w.rounds(5, b)
	require.Len(t, d.heard(t), 3)
	w.pass(2 * time.Hour)
	w.rounds(2, b)
	require.Len(t, d.heard(t), 4, "that machine is gone")
}

// A channel that takes nothing is an alarm that the others tell.
func TestChannelThatTakesNothingIsAnAlarm(t *testing.T) {
	t.Parallel()
	w, bad := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("bad", bad.URL))
	bad.answer(http.StatusInternalServerError)
	w.disabled("crm")
	w.rounds(3, p)
	failing, err := store.FailingChannels(t.Context(), w.pool, "KvitNotifyFails")
	require.NoError(t, err)
	require.Len(t, failing, 1)
	require.Equal(t, "HTTP 500", failing[0].Problem)
	s := status.Status{At: failing[0].Since.Add(59 * time.Minute), Running: true, Untold: failing}
	require.Empty(t, status.Alarms(s))
	s.At = failing[0].Since.Add(61 * time.Minute)
	require.Equal(t, "KvitNotifyFails", status.Alarms(s)[0].Name)
	require.Equal(t, "bad", status.Alarms(s)[0].Subject)

	bad.answer(http.StatusOK)
	w.pass(15 * time.Minute)
	w.rounds(2, p)
	failing, err = store.FailingChannels(t.Context(), w.pool, "KvitNotifyFails")
	require.NoError(t, err)
	require.Empty(t, failing)
}

func TestResolvedAlarmsAreForgotten(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	p := w.process("a", hookTo("hook", d.URL))
	w.disabled("crm")
	w.rounds(2, p)
	w.disabled()
	w.rounds(3, p)
	rows := func() (n int) {
		require.NoError(t, w.pool.QueryRow(t.Context(), `select count(*) from kvit.notification_message`).Scan(&n))
		return n
	}
	require.Equal(t, 1, rows())
	w.pass(31 * aDay)
	p.round()
	require.Zero(t, rows())
}

// Several details of one subject are one message.
func TestDetailsOfOneSubject(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), newDesk(t)
	w.is(status.Status{At: time.Now(), Running: true, ShopMisfits: []string{"the column a is missing", "the column b is missing"}})
	w.rounds(2, w.process("a", hookTo("hook", d.URL)))
	require.Len(t, d.heard(t), 1)
	require.Contains(t, d.bodies[0], "the column a is missing; the column b is missing")
}

func TestChannelsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/ca.pem"
	require.NoError(t, os.WriteFile(file, []byte("none"), 0o600))
	for want, c := range map[string]config.Channel{
		"notify.x: url: leads to a private or local address, which needs allow_private: true": {Kind: config.SlackChannel, URL: config.NewSecret("https://10.1.2.3/x")},
		"notify.x: secret: must be whsec_":                      {Kind: config.WebhookChannel, URL: config.NewSecret("https://hooks.example.com/x"), Secret: config.NewSecret("marker")},
		"notify.x: ca: the file cannot be read":                 {Kind: config.MailChannel, Mail: &config.Mail{Host: "mail.example.com", Port: 25, From: "a@example.com", CA: "/nonexistent"}},
		"notify.x: ca: the file has no certificate in PEM form": {Kind: config.MailChannel, Mail: &config.Mail{Host: "mail.example.com", Port: 25, From: "a@example.com", CA: file}},
		"notify.x: kind": {Kind: "fax", URL: config.NewSecret("https://hooks.example.com/x")},
	} {
		c.Name = "x"
		_, err := notify.New(notify.Options{Channels: []config.Channel{c}, Metrics: prometheus.NewRegistry()})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "marker")
	}
}
