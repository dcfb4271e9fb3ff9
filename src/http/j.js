// journeyql: page views and what people do on them. README: Collect from a page
(() => {
  const { src, dataset } = document.currentScript, url = new URL('/v1/batch', src).href
  const auto = dataset.auto?.split(/[\s,]+/), notices = (what) => !auto || auto.includes(what)
  const memory = {}
  const read = (key) => { try { return JSON.parse(localStorage.getItem('journey.' + key)) } catch { return memory[key] ?? null } }
  const write = (key, value) => {
    memory[key] = value
    // In private windows memory is all there is.
    try { value === null ? localStorage.removeItem('journey.' + key) : localStorage.setItem('journey.' + key, JSON.stringify(value)) } catch {}
  }
  const uuid = () => '10000000-1000-4000-8000-100000000000'.replace(/[018]/g, (c) => (c ^ crypto.getRandomValues(new Uint8Array(1))[0] & 15 >> c / 4).toString(16))
  const allowed = () => read('consent') ?? (dataset.consent !== 'required' && !navigator.globalPrivacyControl)

  let queue = read('queue') || [], busy = false, wait = 1000, timer
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(flush, ms) }
  // As much as a page may send when it goes.
  const take = () => {
    let bytes = 0
    return queue.filter((one, n) => n < 100 && ((bytes += JSON.stringify(one).length * 3) < 6e4 || !n))
  }
  const body = (batch) => JSON.stringify({ batch, sentAt: new Date(), writeKey: dataset.key })
  const sent = (batch) => {
    queue = queue.filter((one) => !batch.includes(one))
    write('queue', queue.length ? queue : null)
  }
  async function flush() {
    if (busy || !queue.length || !allowed()) return
    busy = true
    const batch = take()
    try {
      // A text needs no preflight. What is refused for good is not sent again.
      const { status } = await fetch(url, { method: 'POST', body: body(batch), keepalive: true })
      if (status > 499 || status === 429) throw status
      sent(batch)
      wait = 1000
    } catch {
      wait = Math.min(wait * 2, 6e4)
    }
    busy = false
    if (queue.length) later(wait)
  }
  // Nobody hears whether a beacon came; sent twice counts once.
  const leave = () => {
    for (let batch; queue.length && allowed() && navigator.sendBeacon(url, body(batch = take())) && wait < 2e3; ) sent(batch)
  }

  let referrer = document.referrer, shown, depth = 0
  const put = (type, fields) => {
    if (!allowed()) return
    const anonymousId = read('anonymous') || uuid(), { href, pathname } = location
    write('anonymous', anonymousId)
    queue.push({
      type, messageId: uuid(), timestamp: new Date(), anonymousId, userId: read('user') ?? undefined, ...fields,
      context: { page: { url: href, path: pathname, referrer, title: document.title }, locale: navigator.language },
    })
    queue = queue.slice(-1000)
    write('queue', queue)
    later(queue.length > 99 ? 0 : 1000)
  }
  const track = (event, properties) => put('track', { event, properties })
  const page = (name, properties) => put('page', { name, properties: { ...properties, url: location.href } })
  const scrolled = () => {
    if (depth) track('scroll', { percent: depth })
    depth = 0
  }
  const view = () => {
    const now = location.pathname + location.search
    if (now === shown) return
    scrolled()
    if (shown) referrer = location.origin + shown
    shown = now
    page()
  }
  const on = (what, event, call) => notices(what) && document.addEventListener(event, call, { capture: true, passive: true })
  if (notices('page')) {
    for (const way of ['pushState', 'replaceState']) {
      const own = history[way]
      history[way] = function () { own.apply(this, arguments); view() }
    }
    addEventListener('popstate', view)
  }
  on('click', 'click', ({ target }) => {
    const at = target.closest?.('a,button,[role=button],[data-journey],input[type=submit]')
    if (at) track('click', { on: at.dataset.journey || at.id || at.textContent.trim().slice(0, 80), tag: at.localName, href: at.href })
  })
  on('form', 'submit', ({ target }) => track('form_submit', { form: target.id || target.getAttribute('name'), action: target.getAttribute('action') }))
  on('scroll', 'scroll', () => {
    const { scrollHeight, clientHeight } = document.documentElement
    if (scrollHeight > clientHeight) depth = Math.max(depth, Math.floor((scrollY + clientHeight + 1) / scrollHeight * 4) * 25)
  })
  for (const [event, name] of [['play', 'video_play'], ['ended', 'video_end']])
    on('video', event, ({ target }) => track(name, { video: target.id || target.currentSrc, at_s: target.currentTime }))
  addEventListener('visibilitychange', () => { if (document.hidden) scrolled(), leave() })

  window.journey = {
    track, page, flush,
    identify(id, traits) { if (allowed()) write('user', '' + id), put('identify', { traits }) },
    reset() { flush(); write('user', null); write('anonymous', null) },
    consent(yes) {
      write('consent', !!yes)
      shown = ''
      if (yes) return notices('page') && view()
      queue = []
      for (const key of ['queue', 'user', 'anonymous']) write(key, null)
    },
  }
  notices('page') && view()
  later(1000)
})()
