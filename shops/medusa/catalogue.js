'use strict';
const { ContainerRegistrationKeys, Modules, ProductStatus } = require('@medusajs/framework/utils');
const flows = require('@medusajs/medusa/core-flows');

/** Makes all that a shop needs to sell, and a member of its staff, unless there is; returns the storefront's key. */
async function make(container) {
    const keys = await container.resolve(Modules.API_KEY).listApiKeys({ type: 'publishable' });
    if (keys.length > 0 && (await container.resolve(Modules.PRODUCT).listProducts()).length > 0) {
        return keys[0].token;
    }
    const run = async (workflow, input) => (await workflow(container).run({ input })).result;
    const link = data => container.resolve(ContainerRegistrationKeys.LINK).create(data);

    const [store] = await container.resolve(Modules.STORE).listStores();
    const [channel] = await container.resolve(Modules.SALES_CHANNEL).listSalesChannels();
    await run(flows.updateStoresWorkflow, {
        selector: { id: store.id },
        update: { supported_currencies: [{ currency_code: 'dkk', is_default: true }], default_sales_channel_id: channel.id },
    });
    await run(flows.createRegionsWorkflow, {
        regions: [{ name: 'Denmark', currency_code: 'dkk', countries: ['dk'], payment_providers: ['pp_system_default'] }],
    });
    await run(flows.createTaxRegionsWorkflow, [
        { country_code: 'dk', provider_id: 'tp_system', default_tax_rate: { name: 'VAT', code: 'vat', rate: 25 } },
    ]);
    const profileId = await sending(container, run, link, channel);
    await products(run, channel, profileId);
    await staff(container, run);

    const [key] = keys.length > 0 ? keys : await run(flows.createApiKeysWorkflow, { api_keys: [{ title: 'Shop', type: 'publishable', created_by: '' }] });
    await run(flows.linkSalesChannelsToApiKeyWorkflow, { id: key.id, add: [channel.id] });
    return key.token;
}

/** A place that sends, one way of sending; returns the id of the profile that products need. */
async function sending(container, run, link, channel) {
    const [place] = await run(flows.createStockLocationsWorkflow, {
        locations: [{ name: 'Store room', address: { city: 'Aarhus', country_code: 'DK', address_1: '' } }],
    });
    await link({
        [Modules.STOCK_LOCATION]: { stock_location_id: place.id },
        [Modules.FULFILLMENT]: { fulfillment_provider_id: 'manual_manual' },
    });
    const fulfillment = container.resolve(Modules.FULFILLMENT);
    let [profile] = await fulfillment.listShippingProfiles({ type: 'default' });
    if (!profile) {
        [profile] = await run(flows.createShippingProfilesWorkflow, { data: [{ name: 'Default', type: 'default' }] });
    }
    const set = await fulfillment.createFulfillmentSets({
        name: 'Parcels',
        type: 'shipping',
        service_zones: [{ name: 'Denmark', geo_zones: [{ country_code: 'dk', type: 'country' }] }],
    });
    await link({
        [Modules.STOCK_LOCATION]: { stock_location_id: place.id },
        [Modules.FULFILLMENT]: { fulfillment_set_id: set.id },
    });
    await run(flows.createShippingOptionsWorkflow, [
        {
            name: 'Parcel',
            price_type: 'flat',
            provider_id: 'manual_manual',
            service_zone_id: set.service_zones[0].id,
            shipping_profile_id: profile.id,
            type: { label: 'Parcel', description: 'In two days', code: 'parcel' },
            prices: [{ currency_code: 'dkk', amount: 39 }],
            rules: [],
        },
    ]);
    await run(flows.linkSalesChannelsToStockLocationWorkflow, { id: place.id, add: [channel.id] });
    return profile.id;
}

async function products(run, channel, profileId) {
    const product = (title, sku, amount) => ({
        title,
        status: ProductStatus.PUBLISHED,
        shipping_profile_id: profileId,
        sales_channels: [{ id: channel.id }],
        options: [{ title: 'Size', values: ['One'] }],
        variants: [{ title: 'One', sku, manage_inventory: false, options: { Size: 'One' }, prices: [{ currency_code: 'dkk', amount }] }],
    });
    await run(flows.createProductsWorkflow, {
        products: [product('Lamp', 'LAMP-1', 199.5), product('Candle', 'CANDLE-1', 12.25)],
    });
}

async function staff(container, run) {
    const email = 'staff@shop.example';
    const [user] = await run(flows.createUsersWorkflow, { users: [{ email }] });
    const auth = container.resolve(Modules.AUTH);
    const { authIdentity, error } = await auth.register('emailpass', { body: { email, password: 'for tests alone' } });
    if (error) {
        throw new Error(error);
    }
    await auth.updateAuthIdentities({ id: authIdentity.id, app_metadata: { user_id: user.id } });
}

module.exports = { make };
