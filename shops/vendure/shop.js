// A Vendure as its documentation sets it up: the default plugins, jobs and mails in the database.
// Environment: DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD; with DB_SYNCHRONIZE=true the ORM
// changes the schema to what it wants, as it does for developers, not in production.
// `node shop.js populate` makes the schema and a catalogue in an empty database and ends.
// `node shop.js` prints {"url": "http://127.0.0.1:PORT"} when it serves, and ends when its standard
// input does: so that it does not outlive the test that started it, however that ended.
'use strict';
process.env.VENDURE_DISABLE_TELEMETRY = 'true'; // it talks to nobody else
const path = require('path');
const core = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const { EmailPlugin, defaultEmailHandlers, FileBasedTemplateLoader } = require('@vendure/email-plugin');

const populating = process.argv[2] === 'populate';
const mailTemplates = path.join(path.dirname(require.resolve('@vendure/email-plugin/package.json')), 'templates');

/** @type {import('@vendure/core').VendureConfig} */
const config = {
    apiOptions: { hostname: '127.0.0.1', port: 0, cors: false, csrfPrevention: true },
    authOptions: {
        tokenMethod: 'bearer',
        requireVerification: false,
        superadminCredentials: { identifier: 'superadmin', password: 'for tests alone' },
    },
    dbConnectionOptions: {
        type: 'postgres',
        host: process.env.DB_HOST,
        port: Number(process.env.DB_PORT),
        database: process.env.DB_NAME,
        username: process.env.DB_USER,
        password: process.env.DB_PASSWORD,
        synchronize: populating || process.env.DB_SYNCHRONIZE === 'true',
        logging: false,
    },
    logger: new core.DefaultLogger({ level: core.LogLevel.Warn, timestamp: false }),
    paymentOptions: { paymentMethodHandlers: [core.dummyPaymentHandler] },
    plugins: [
        core.DefaultJobQueuePlugin.init({ pollInterval: 500 }),
        core.DefaultSchedulerPlugin.init(),
        core.DefaultSearchPlugin.init({ bufferUpdates: false }),
        EmailPlugin.init({
            handlers: defaultEmailHandlers,
            templateLoader: new FileBasedTemplateLoader(mailTemplates),
            transport: { type: 'none' },
            globalTemplateVars: {
                fromAddress: 'shop@shop.example',
                verifyEmailAddressUrl: 'http://127.0.0.1/verify',
                passwordResetUrl: 'http://127.0.0.1/password-reset',
                changeEmailAddressUrl: 'http://127.0.0.1/change-email',
            },
        }),
    ],
};

/** @type {import('@vendure/core').InitialData} */
const initialData = {
    defaultLanguage: 'en',
    defaultZone: 'Europe',
    countries: [
        { name: 'Denmark', code: 'DK', zone: 'Europe' },
        { name: 'Sweden', code: 'SE', zone: 'Europe' },
        { name: 'Germany', code: 'DE', zone: 'Europe' },
    ],
    taxRates: [{ name: 'Standard Tax', percentage: 25 }],
    shippingMethods: [{ name: 'Standard Shipping', price: 500 }],
    paymentMethods: [
        { name: 'Card', handler: { code: core.dummyPaymentHandler.code, arguments: [{ name: 'automaticSettle', value: 'false' }] } },
    ],
    collections: [],
};

/** Orders fail where a job of the shop's is lost, so the queue runs in this process. */
async function start() {
    const app = await core.bootstrap(config);
    await app.get(core.JobQueueService).start();
    return app;
}

const ended = new Promise(resolve => process.stdin.on('end', resolve).resume());
// Closing waits for jobs, and these for a database that may be gone.
ended.then(() => setTimeout(() => process.exit(1), 10_000).unref());

async function main() {
    if (populating) {
        const app = await populate(start, initialData, path.join(__dirname, 'products.csv'));
        await app.close();
        return;
    }
    const app = await start();
    const { port } = app.getHttpServer().address();
    process.stdout.write(JSON.stringify({ url: `http://127.0.0.1:${port}` }) + '\n');
    await ended;
    await app.close();
}

main().then(
    () => process.exit(0),
    err => {
        console.error(err);
        process.exit(1);
    },
);
