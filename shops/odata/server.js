// An OData v4 server, https://github.com/pofider/node-simple-odata-server, with sales orders and invoices as Business Central
// names them. It reads its documents from the first argument, prints its port, and ends with its standard input.
const http = require('http')
const Datastore = require('nedb')
const odata = require('simple-odata-server')
const adapter = require('simple-odata-server-nedb')

const text = { type: 'Edm.String' }
const document = {
  _id: { type: 'Edm.String', key: true },
  number: text,
  externalDocumentNumber: text,
  orderNumber: text,
  status: text,
  lastModifiedDateTime: { type: 'Edm.DateTimeOffset' },
  customerName: text
}
const model = {
  namespace: 'erp',
  entityTypes: { Document: document },
  entitySets: { salesOrders: { entityType: 'erp.Document' }, salesInvoices: { entityType: 'erp.Document' } }
}

const given = JSON.parse(process.argv[2])
const stores = {}
for (const name of Object.keys(model.entitySets)) {
  stores[name] = new Datastore({ inMemoryOnly: true })
  stores[name].insert(given[name].map(d => ({ ...d, lastModifiedDateTime: new Date(d.lastModifiedDateTime) })))
}

const roots = ['/api/v2.0/companies(' + given.company.id + ')', "/OData/Company('CRONUS')"]
const documents = odata('http://127.0.0.1').model(model).adapter(adapter((set, done) => done(null, stores[set])))

// What the library does not know is the company in the address.
const server = http.createServer((req, res) => {
  const url = decodeURIComponent(req.url.split('?')[0])
  if (url === roots[0]) {
    res.setHeader('Content-Type', 'application/json')
    return res.end(JSON.stringify(given.company))
  }
  const root = roots.find(root => url.startsWith(root + '/'))
  if (!root) {
    res.statusCode = 404
    return res.end()
  }
  req.url = req.url.slice(req.url.lastIndexOf('/', req.url.indexOf('?')))
  documents.handle(req, res)
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit(0)).resume()
