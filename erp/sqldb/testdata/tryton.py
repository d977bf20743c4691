"""Works in a Tryton through its own Python API: makes a company that can sell, then does what each line of the standard
input asks for, a JSON object, and answers with one: {"reference": "WEB-1", "state": "confirmed"} makes a sale that gets
as far as this state, {"number": "1", "state": "done"} moves one that is there."""
import json
import os
import sys
from decimal import Decimal

from proteus import Model, config

# The helpers of Tryton's own tests, which set up a company below, want to know the database, and take the default of the
# configuration if it is not read before they are.
os.environ['DB_NAME'] = sys.argv[2]
config.set_trytond(database=sys.argv[2], user='admin', config_file=sys.argv[1])

from trytond.modules.account.tests.tools import create_chart, create_fiscalyear, get_accounts
from trytond.modules.account_invoice.tests.tools import create_payment_term, set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company

STEPS = {
    'draft': [],
    'quotation': ['quote'],
    'confirmed': ['quote', 'confirm'],
    'processing': ['quote', 'confirm', 'process'],
    'cancelled': ['quote', 'cancel'],
}


def setup():
    Party, Uom, Template, Category = (Model.get(n) for n in ('party.party', 'product.uom', 'product.template', 'product.category'))
    owner = Party(name='Example ApS')
    owner.save()
    create_company(party=owner)
    company = get_company()
    set_fiscalyear_invoice_sequences(create_fiscalyear(company)).click('create_period')
    create_chart(company)
    accounts = get_accounts(company)
    category = Category(name='Goods', accounting=True, account_expense=accounts['expense'], account_revenue=accounts['revenue'])
    category.save()
    unit, = Uom.find([('name', '=', 'Unit')])
    template = Template(name='Candle', default_uom=unit, type='service', salable=True, list_price=Decimal('10'), account_category=category)
    template.save()
    term = create_payment_term()
    term.save()
    customer = Party(name='A customer of the web shop')
    customer.save()
    return customer, template.products[0], term


def sell(reference, customer, product, term):
    sale = Model.get('sale.sale')()
    sale.party, sale.payment_term, sale.invoice_method, sale.reference = customer, term, 'order', reference
    for quantity in (1, 2):
        line = sale.lines.new()
        line.product, line.quantity = product, quantity
    sale.lines.new(type='comment', description='as a gift')
    sale.save()
    return sale


def main():
    made = setup()
    print(json.dumps({'ready': True}), flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        if 'number' in wish:
            sale, = Model.get('sale.sale').find([('number', '=', wish['number'])])
        else:
            sale = sell(wish['reference'], *made)
        for step in STEPS[wish['state']]:
            if sale.state in ('draft', 'quotation', 'confirmed'):
                sale.click(step)
        sale.reload()
        print(json.dumps({'number': sale.number, 'state': sale.state}), flush=True)


main()
