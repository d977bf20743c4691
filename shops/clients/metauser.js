// Reads customers from standard input, a list of objects with the names of Meta's match keys, and writes what
// Meta's own SDK makes of them: normalised and hashed.
const { UserData } = require('facebook-nodejs-business-sdk')

const setters = {
  em: 'setEmail', ph: 'setPhone', fn: 'setFirstName', ln: 'setLastName', ge: 'setGender', db: 'setDateOfBirth',
  ct: 'setCity', st: 'setState', zp: 'setZip', country: 'setCountry',
}

let input = ''
process.stdin.on('data', (part) => { input += part })
process.stdin.on('end', () => {
  const made = JSON.parse(input).map((customer) => {
    const user = new UserData()
    for (const [key, value] of Object.entries(customer)) {
      user[setters[key]](value)
    }
    return user.normalize()
  })
  process.stdout.write(JSON.stringify(made))
})
