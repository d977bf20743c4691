// An OpenID provider that nobody of kvit's has written, for the test of kvit's login by one: oidc-provider, with its own pages for
// development. It prints its address and runs until its input closes. Whoever logs in is taken at his word.
//
// Arguments: the address of kvit, as in http://127.0.0.1:8080. The client's secret is in OIDC_CLIENT_SECRET.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [kvit] = process.argv.slice(2);
const groups = { anna: ['staff', 'kvit-operators'], jon: ['kvit-readers'], eve: ['staff'] };

const server = createServer();
server.listen(0, 'localhost', () => {
  // Another site than 127.0.0.1, so that cookies are as strict as between two companies' hosts.
  const issuer = `http://localhost:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: 'kvit', client_secret: process.env.OIDC_CLIENT_SECRET, redirect_uris: [`${kvit}/login/oidc/callback`] }],
    cookies: { keys: ['of a test'] },
    claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: `id-of-${id}`, preferred_username: id, email: `${id}@shop.example`, email_verified: true, groups: groups[id] ?? [] }),
    }),
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
process.stdin.resume().on('end', () => process.exit(0));
