'use strict';
const { defineConfig } = require('@medusajs/framework/utils');

const { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD } = process.env;

module.exports = defineConfig({
    projectConfig: {
        databaseUrl: `postgres://${DB_USER}:${encodeURIComponent(DB_PASSWORD)}@${DB_HOST}:${DB_PORT}/${DB_NAME}`,
        databaseDriverOptions: { ssl: false, connection: { ssl: false } },
        http: {
            storeCors: 'http://127.0.0.1',
            adminCors: 'http://127.0.0.1',
            authCors: 'http://127.0.0.1',
            jwtSecret: 'for tests alone',
            cookieSecret: 'for tests alone',
        },
    },
    admin: { disable: true },
});
