// A Medusa with what it does by default: all in one process, jobs and caches in memory.
// Environment: DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD.
// `node shop.js migrate` runs its migrations and ends.
// `node shop.js` makes a catalogue if there is none, prints {"url": "http://127.0.0.1:PORT", "key":
// the storefront's key} when it serves, and ends when its standard input does: so that it does not
// outlive the test that started it, however that ended.
'use strict';
process.env.MEDUSA_DISABLE_TELEMETRY = 'true'; // it talks to nobody else
process.env.NODE_ENV = 'production';
process.env.LOG_LEVEL = 'warn';
process.removeAllListeners('warning'); // those of its own code about its libraries

const command = name => require(`@medusajs/medusa/commands/${name}`).default;

async function serve() {
    const { server } = await command('start')({ directory: __dirname, host: '127.0.0.1', port: 0 });
    const { container } = require('@medusajs/framework');
    if (!server.listening) {
        await new Promise(resolve => server.once('listening', resolve));
    }
    const key = await require('./catalogue').make(container);
    process.stdout.write(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, key }) + '\n');
}

// Its own way of ending waits for requests that nobody makes any more.
process.stdin.on('end', () => process.exit(0)).resume();

const run = process.argv[2] === 'migrate'
    ? command('db/migrate')({ directory: __dirname, executeAllLinks: true, skipScripts: true, skipSearch: true })
    : serve();

run.catch(err => {
    console.error(err);
    process.exit(1);
});
