package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	alarmHook = "notify:\n  hook:\n    kind: webhook\n    url: https://alarms.example.com/x\n    secret: ${HOOK}\n" // up to line 5
	alarmMail = "notify:\n  post:\n    kind: mail\n    host: mail.example.com\n    from: kvit@example.com\n    to: [ops@example.com]\n"
)

func TestChannels(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(database+strings.Replace(alarmMail, "    host", "    user: kvit\n    password: ${PUBLIC}\n    host", 1)+
		"  chat: {kind: slack, url: \"${HOOK_URL}\", severity: critical, label: shop}\n"), notifyEnvironment, nil)
	require.NoError(t, err)
	require.Len(t, cfg.Channels, 2)
	chat, post := cfg.Channels[0], cfg.Channels[1]
	require.Equal(t, "https://hooks.example.com/T0/x", chat.URL.Reveal())
	require.True(t, chat.CriticalOnly)
	require.Equal(t, "shop", chat.Label)
	require.False(t, post.CriticalOnly, "all alarms, if nothing is said")
	require.Equal(t, "kvit", post.Label)
	require.Equal(t, Mail{
		Host: "mail.example.com", Port: 587, TLS: TLSStart, User: "kvit", Password: post.Mail.Password, From: "kvit@example.com", To: []string{"ops@example.com"},
	}, *post.Mail)
	require.Equal(t, "public-key", post.Mail.Password.Reveal())
}

func TestPortOfMailWithTLSFromTheStart(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("kvit.yaml", []byte(database+alarmMail+"    tls: implicit\n"), notifyEnvironment, nil)
	require.NoError(t, err)
	require.Equal(t, 465, cfg.Channels[0].Mail.Port)
}

func TestMailInTheClearIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "localhost", `"::1"`} {
		_, err := Parse("kvit.yaml", []byte(database+strings.Replace(alarmMail, "mail.example.com", host, 1)+"    tls: none\n"), notifyEnvironment, nil)
		require.NoError(t, err, host)
	}
}

func notifyEnvironment(name string) string {
	return map[string]string{"HOOK": signingKey, "HOOK_URL": "https://hooks.example.com/T0/x", "PLAIN_URL": "http://hooks.example.com/marker", "PUBLIC": "public-key"}[name]
}

func TestMistakesInChannels(t *testing.T) {
	t.Parallel()
	const chat = "notify:\n  chat: {kind: slack, url: \"${HOOK_URL}\"}\n"
	for name, test := range map[string]struct{ text, want string }{
		"IsAList":        {"notify: [slack]\n", "1: notify: must be a mapping of keys to values"},
		"Name":           {"notify:\n  Chat: {kind: slack}\n", "2: notify.Chat: is not the name of a channel (lower-case letters, digits, _ and -, at most 40, beginning with a letter)"},
		"NoKind":         {"notify:\n  chat: {url: \"${HOOK_URL}\"}\n", "2: notify.chat.kind: is missing"},
		"Kind":           {"notify:\n  chat: {kind: pager}\n", "2: notify.chat.kind: must be webhook, slack, teams or mail"},
		"Severity":       {strings.Replace(chat, "slack,", "slack, severity: info,", 1), "2: notify.chat.severity: must be warning or critical"},
		"HookInTheFile":  {strings.Replace(chat, "${HOOK_URL}", "https://hooks.example.com/marker", 1), "2: notify.chat.url: " + notInFile},
		"HookPlain":      {strings.Replace(chat, "HOOK_URL", "PLAIN_URL", 1), "2: notify.chat.url: must be https (http only with allow_private: true)"},
		"KeyOfAnother":   {strings.Replace(chat, "slack,", "teams, secret: \"${HOOK}\",", 1), "2: notify.chat.secret: is not a known key"},
		"NoSecret":       {strings.Replace(alarmHook, "    secret: ${HOOK}\n", "", 1), "2: notify.hook.secret: is missing"},
		"Secret":         {strings.Replace(alarmHook, "${HOOK}", "${PUBLIC}", 1), "5: notify.hook.secret: is not whsec_ followed by the base64 of 24 to 64 bytes"},
		"SecretTwice":    {alarmHook + "    previous_secret: ${HOOK}\n", "6: notify.hook.previous_secret: is the same as secret"},
		"NoHost":         {strings.Replace(alarmMail, "    host: mail.example.com\n", "", 1), "2: notify.post.host: is missing"},
		"HostWithPort":   {strings.Replace(alarmMail, "mail.example.com", "mail.example.com:25", 1), "4: notify.post.host: is not the name or address of a host, without a port"},
		"NoRecipient":    {strings.Replace(alarmMail, "    to: [ops@example.com]\n", "", 1), "2: notify.post.to: is missing"},
		"Recipient":      {strings.Replace(alarmMail, "[ops@example.com]", "[ops]", 1), "6: notify.post.to[0]: is not a mail address, as in ops@shop.example.com or Shop <ops@shop.example.com>"},
		"RecipientTwice": {strings.Replace(alarmMail, "[ops@example.com]", "[a@example.com, a@example.com]", 1), "6: notify.post.to[1]: is in the list twice"},
		"Clear":          {alarmMail + "    tls: none\n", "7: notify.post.tls: may be none only for a server on this machine itself"},
		"UserAlone":      {alarmMail + "    user: kvit\n", "2: notify.post.password: is missing beside user"},
		"PasswordAlone":  {alarmMail + "    password: ${PUBLIC}\n", "2: notify.post.user: is missing beside password"},
		"Password":       {alarmMail + "    user: kvit\n    password: marker\n", "8: notify.post.password: " + notInFile},
		"CA":             {alarmMail + "    ca: ca.pem\n", "7: notify.post.ca: is not the absolute path of a file"},
		"Port":           {alarmMail + "    port: 70000\n", "7: notify.post.port: must be from 1 to 65535"},
		"Unknown":        {alarmMail + "    too: [a@example.com]\n", `7: notify.post.too: is not a known key: did you mean "to"?`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("kvit.yaml", []byte(test.text+database), notifyEnvironment, nil)
			require.EqualError(t, err, "kvit.yaml:"+test.want)
			require.NotContains(t, err.Error(), "marker")
		})
	}
}
