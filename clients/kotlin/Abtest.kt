// SPDX-License-Identifier: MIT
//
// A client of abtest for Android and the JVM, in one file without dependencies. Read it, then paste or install it.
//
//     Abtest.start("https://abtest.example.com", File(noBackupFilesDir, "abtest"), mapOf("platform" to "android")) { abtest ->
//         val color = abtest.value("button_color", "#5A6270")
//         abtest.shown("button_color", color) // when a person sees it
//         abtest.track("purchase", "9.99")
//     }
//
// Values are fixed for a whole start. A start uses the values of the last answer at once, and fetches a fresh answer
// for the next start. Only the first start waits for an answer, at most `timeout` seconds; if none comes, it goes on
// with the code's defaults. Events are kept in the folder until the server has confirmed them. Nothing here throws
// because of the network or the disk; `say` is told what goes wrong.

package abtest

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.RandomAccessFile
import java.net.HttpURLConnection
import java.net.URL
import java.net.URLEncoder
import java.security.SecureRandom
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.thread
import kotlin.concurrent.withLock

private const val BATCH_EVENTS = 500
private const val BATCH_BYTES = 64 * 1024
private const val FILE_EVENTS = 100
private const val LONGEST_ANSWER = 1024 * 1024
private const val LONGEST_PAUSE = 300.0
private const val LONGEST_RETRY_AFTER = 86_400.0

/** Statuses with which the server refuses the same events every time. */
private val REFUSED = setOf(400, 413, 415, 422)

/**
 * Times are in seconds. The first start waits for at most [timeout], each request for at most [requestTimeout]. Events
 * are sent every [sendEvery]. After a failure comes a [pause], which doubles up to 5 minutes. When more than
 * [mostEvents] events wait, the oldest are dropped.
 */
class Options(
    val timeout: Double = 2.0,
    val requestTimeout: Double = 10.0,
    val sendEvery: Double = 5.0,
    val pause: Double = 1.0,
    val mostEvents: Int = 10_000,
    val say: (String) -> Unit = { System.err.println("abtest: $it") }
)

/** The values of this start, and the events that wait to be sent. Any thread may call its methods. */
class Abtest private constructor(url: String, path: File, attributes: Map<String, String>, private val options: Options) {
    companion object {
        /**
         * Returns the client once its values are fixed: don't call this on Android's main thread. [url]: that of the
         * server, or of one of its apps. [folder]: used by this device alone. [attributes]: what the device says about
         * itself in its first request.
         */
        fun start(
            url: String, folder: File, attributes: Map<String, String> = emptyMap(), options: Options = Options()
        ): Abtest = Abtest(url.trimEnd('/'), folder, attributes, options)

        /** The same without waiting: another thread calls [ready]. */
        fun start(
            url: String, folder: File, attributes: Map<String, String> = emptyMap(), options: Options = Options(),
            ready: (Abtest) -> Unit
        ) {
            thread(name = "abtest-start") { ready(start(url, folder, attributes, options)) }
        }
    }

    private val query = attributes.entries.joinToString("&") { encoded(it.key) + "=" + encoded(it.value) }
    private val experiments = "$url/api/v1/experiments" + (if (query == "") "" else "?") + query
    private val events = "$url/api/v1/events"
    private val folder = Folder(path)
    private val lock = ReentrantLock()
    private val changed = lock.newCondition()
    private val started = "events-%013d-%s".format(Locale.ROOT, System.currentTimeMillis(), random(4))
    private var made = 0
    private var device: Device? = null
    private var values: Map<String, String>? = null
    private val seen = HashSet<String>()
    private var files = ArrayList<EventFile>()
    private var mostInBatch = BATCH_EVENTS
    private var asking = true
    private var hurry = true
    private var closed = false

    /** How many events of this start were dropped because too many were waiting. */
    @Volatile var dropped = 0
        private set

    /** How many events were dropped because the server refuses them. */
    @Volatile var rejected = 0
        private set

    /** The device's token, for `abtest why`; null while the folder can't be written. */
    val token: String? get() = lock.withLock { device?.token }

    /** How many events wait for the server's confirmation. */
    val queued: Int get() = lock.withLock { files.map { it.events.size }.sum() }

    init {
        safely { open() }
        thread(isDaemon = true, name = "abtest") { work() }
        lock.withLock {
            until(options.timeout) { device?.values != null }
            values = device?.values
        }
    }

    /** The device's value for an experiment, or the default if it has none. The same for the whole start. */
    fun value(key: String, default: String): String = lock.withLock { values?.get(key) ?: default }

    /** Report an exposure: a person sees this value. It is reported once per start and experiment. */
    fun shown(key: String, value: String) = lock.withLock {
        if (seen.add(key)) {
            if (values?.containsKey(key) == false) {
                options.say("$key is not reported as shown: this device has no value for it; is the key right?")
            } else {
                add("name" to "exposure", "experiment" to key, "value" to value)
            }
        }
    }

    /** Report an event. An amount has at most 4 decimals, and is negative for a refund. */
    fun track(name: String, amount: String? = null) =
        if (amount == null) add("name" to name) else add("name" to name, "amount" to amount)

    /** Begin a new start in the same process: use the values of the last answer, and fetch a fresh one. */
    fun restart() = lock.withLock {
        values = device?.values
        seen.clear()
        asking = true
        changed.signalAll()
    }

    /** Send events now, but not during a pause after a failure. Returns whether all are confirmed. */
    fun flush(timeout: Double = 2.0): Boolean = lock.withLock {
        hurry = true
        changed.signalAll()
        until(timeout) { files.isEmpty() }
    }

    /** Flush, and stop. Events that are left are sent after the next start. */
    fun close(timeout: Double = 2.0): Boolean {
        val done = flush(timeout)
        lock.withLock {
            closed = true
            changed.signalAll()
        }
        return done
    }

    /** Read the device, or make its token; take over the events of earlier starts. */
    private fun open() = lock.withLock {
        val new = Device(random(16), null, null)
        val kept = Device.read(folder.create("device", new.text)) ?: new.also { folder.set("device", it.text) }
        for (name in folder.names("events-")) {
            val file = EventFile(nextName())
            if (!name.startsWith(started) && folder.rename(name, file.name)) {
                file.events.putAll(readEvents(folder.get(file.name) ?: "", options.say))
                if (file.events.isEmpty()) folder.remove(file.name) else files.add(file)
            }
        }
        device = kept
    }

    private fun add(vararg event: Pair<String, String>): Unit = lock.withLock {
        val id = random(16)
        val text = json(listOf("id" to id, *event, "at" to now()))
        if (files.isEmpty() || files.last().events.size >= FILE_EVENTS) files.add(EventFile(nextName()))
        val file = files.last()
        file.events[id] = text
        safely { append(file, text) }
        while (queued > options.mostEvents && files.size > 1) {
            val oldest = files.removeAt(0)
            dropped += oldest.events.size
            options.say("too many events are waiting: dropped the oldest ${oldest.events.size}")
            safely { folder.remove(oldest.name) }
        }
        changed.signalAll()
    }

    private fun nextName(): String = "$started-%06d".format(Locale.ROOT, ++made)

    private fun append(file: EventFile, text: String) {
        if (!file.kept) return keep(file)
        file.kept = false
        folder.append(file.name, text + "\n")
        file.kept = true
    }

    private fun keep(file: EventFile) {
        file.kept = false
        if (file.events.isEmpty()) folder.remove(file.name)
        else folder.set(file.name, file.events.values.joinToString("") { it + "\n" })
        file.kept = true
    }

    /** What could not be written stays in memory, and is written later. */
    private fun safely(work: () -> Unit) = try {
        work()
    } catch (error: IOException) {
        options.say("can't write to the folder yet: $error")
    }

    /** Ask and send until closed. Pauses are partly random, so that devices don't come all at once. */
    private fun work() {
        var failures = 0
        while (!lock.withLock { closed }) {
            var pause = 0.0
            try {
                if (lock.withLock { asking }) ask() else if (lock.withLock { files.isNotEmpty() }) send()
                failures = 0
            } catch (error: Exception) {
                val backoff = minOf(options.pause * (1 shl minOf(failures++, 20)), LONGEST_PAUSE)
                pause = maxOf(backoff, (error as? Later)?.seconds ?: 0.0) * (1 + Math.random() / 2)
                options.say("trying again in ${"%.1f".format(pause)} s: ${error.message ?: error}")
            }
            lock.withLock {
                for (file in files) if (!file.kept) safely { keep(file) }
                if (pause > 0) {
                    until(pause) { closed }
                } else {
                    while (!closed && !asking && files.isEmpty()) changed.await()
                    until(options.sendEvery) { closed || asking || hurry || queued >= BATCH_EVENTS }
                }
            }
        }
    }

    private fun ask() {
        if (token == null) open() // without a stored token, the next start would be another device with other values
        val known = lock.withLock { device!! }
        val answer = request(known, experiments, known.etag?.let { mapOf("If-None-Match" to it) } ?: emptyMap(), null)
        if (answer.status == 200) {
            val fresh = Device(known.token, answer.etag, readObject(answer.text))
            safely { folder.set("device", fresh.text) }
            lock.withLock { device = fresh }
        } else if (answer.status != 304) {
            throw Later("the answer was ${answer.status}")
        }
        lock.withLock {
            asking = false
            changed.signalAll()
        }
    }

    private fun send() {
        val batch = LinkedHashMap<String, String>()
        lock.withLock {
            var size = 100
            for ((id, text) in files.flatMap { it.events.entries }) {
                size += text.toByteArray().size + 1
                if (batch.isNotEmpty() && (batch.size >= mostInBatch || size > BATCH_BYTES)) break
                batch[id] = text
            }
        }
        val body = batch.values.joinToString(",", "{\"events\":[", "]}")
        val known = lock.withLock { device!! }
        val answer = request(known, events, mapOf("Content-Type" to "application/json"), body)
        if (answer.status == 404 && "\"unknown_device\"" in answer.text) lock.withLock { asking = true }
        if (answer.status in REFUSED && batch.size > 1) { // one event is to blame: halve until it is found
            mostInBatch = batch.size / 2
        } else if (answer.status == 202 || answer.status in REFUSED) {
            mostInBatch = minOf(2 * mostInBatch, BATCH_EVENTS)
            if (answer.status != 202) {
                rejected += 1
                options.say("dropped an event that the server refuses: ${answer.text.take(300)}: $body")
            }
            confirm(batch.keys)
        } else {
            throw Later("the answer was ${answer.status}")
        }
    }

    private fun confirm(ids: Set<String>) = lock.withLock {
        for (file in files) if (file.events.keys.removeAll(ids)) safely { keep(file) }
        files = ArrayList(files.filter { it.events.isNotEmpty() })
        hurry = hurry && files.isNotEmpty()
        changed.signalAll()
    }

    private fun request(device: Device, url: String, headers: Map<String, String>, body: String?): Answer {
        val until = System.nanoTime() + (options.requestTimeout * 1e9).toLong()
        val connection = URL(url).openConnection() as HttpURLConnection
        try {
            connection.connectTimeout = (options.requestTimeout * 1000).toInt()
            connection.readTimeout = connection.connectTimeout
            connection.instanceFollowRedirects = false // a redirect comes from a network that wants a sign-in first
            connection.useCaches = false
            connection.setRequestProperty("Device-Token", device.token)
            for ((name, value) in headers) connection.setRequestProperty(name, value)
            if (body != null) {
                val bytes = body.toByteArray()
                connection.doOutput = true
                connection.setFixedLengthStreamingMode(bytes.size)
                connection.outputStream.use { it.write(bytes) }
            }
            val status = connection.responseCode
            val read = java.io.ByteArrayOutputStream()
            (if (status < 400) connection.inputStream else connection.errorStream)?.use { stream ->
                val part = ByteArray(65_536)
                while (true) {
                    val count = stream.read(part)
                    if (count < 0) break
                    read.write(part, 0, count)
                    if (System.nanoTime() > until || read.size() > LONGEST_ANSWER) throw Later("the answer is too long")
                }
            }
            if (status == 429 || status == 503) {
                val seconds = connection.getHeaderField("Retry-After")?.toDoubleOrNull() ?: 0.0
                throw Later("the answer was $status", minOf(seconds, LONGEST_RETRY_AFTER))
            }
            return Answer(status, read.toString("UTF-8"), connection.getHeaderField("ETag"))
        } finally {
            connection.disconnect()
        }
    }

    /** Waits until the condition holds, at most so many seconds. Returns whether it holds. The lock must be held. */
    private fun until(seconds: Double, condition: () -> Boolean): Boolean {
        val end = System.nanoTime() + (seconds * 1e9).toLong()
        while (!condition()) {
            val left = end - System.nanoTime()
            if (left <= 0) return false
            changed.awaitNanos(left)
        }
        return true
    }
}

private class Answer(val status: Int, val text: String, val etag: String?)

private class Later(why: String, val seconds: Double = 0.0) : Exception(why)

/** A file of the folder, with events as JSON by their ids. */
private class EventFile(val name: String) {
    val events = LinkedHashMap<String, String>()
    var kept = true
}

/** What is stored of a device: its token, and the ETag and values of the last answer. */
private class Device(val token: String, val etag: String?, val values: Map<String, String>?) {
    val text: String
        get() = json(
            listOf("token" to token) + (etag?.let { listOf("etag" to it) } ?: emptyList()) +
                (values?.let { listOf("values" to json(it.toList())) } ?: emptyList())
        )

    companion object {
        /** Null if the text is damaged. */
        fun read(text: String): Device? = try {
            val kept = readObject(text)
            kept["token"]?.let { Device(it, kept["etag"], kept["values"]?.let(::readObject)) }
        } catch (error: Exception) {
            null
        }
    }
}

/** Small texts in files, each replaced as a whole. Throws IOException. */
private class Folder(private val path: File) {
    fun get(name: String): String? = File(path, name).let { if (it.exists()) it.readText() else null }

    /** Write a text so that it survives a power cut. */
    fun set(name: String, text: String) {
        path.mkdirs()
        val written = File(path, "writing-${random(8)}")
        try {
            FileOutputStream(written).use {
                it.write(text.toByteArray())
                it.fd.sync()
            }
            if (!written.renameTo(File(path, name))) throw IOException("can't write $name")
        } finally {
            written.delete()
        }
    }

    /** Write a text unless there is one, and return the one that is there. One of several processes wins. */
    fun create(name: String, text: String): String = synchronized(javaClass) {
        path.mkdirs()
        RandomAccessFile(File(path, "lock"), "rw").use {
            it.channel.lock()
            get(name) ?: text.also { set(name, text) }
        }
    }

    /** Add to a text. It survives a crash, but not a power cut. */
    fun append(name: String, text: String) = FileOutputStream(File(path, name), true).use { it.write(text.toByteArray()) }

    /** Returns whether the file was there. If several processes try, one gets it. */
    fun rename(name: String, to: String): Boolean = File(path, name).renameTo(File(path, to))

    fun remove(name: String) {
        File(path, name).delete()
    }

    fun names(prefix: String): List<String> = (path.list() ?: emptyArray()).filter { it.startsWith(prefix) }.sorted()
}

private fun readEvents(text: String, say: (String) -> Unit): Map<String, String> {
    val events = LinkedHashMap<String, String>()
    for (line in text.split("\n").filter { it.isNotEmpty() }) {
        try {
            events[readObject(line).getValue("id")] = line
        } catch (error: Exception) {
            say("left out a damaged event")
        }
    }
    return events
}

private fun encoded(text: String): String = URLEncoder.encode(text, "UTF-8")

private fun random(bytes: Int): String =
    ByteArray(bytes).also { SecureRandom().nextBytes(it) }.joinToString("") { "%02x".format(Locale.ROOT, it) }

private fun now(): String = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT)
    .apply { timeZone = TimeZone.getTimeZone("UTC") }.format(Date())

/** An object of texts as JSON. */
internal fun json(pairs: List<Pair<String, String>>): String =
    pairs.joinToString(",", "{", "}") { (name, value) -> quoted(name) + ":" + quoted(value) }

private fun quoted(text: String): String = buildString {
    append('"')
    for (each in text) {
        if (each == '"' || each == '\\') append('\\').append(each)
        else if (each < ' ' || each.isSurrogate()) append("\\u%04x".format(Locale.ROOT, each - '\u0000'))
        else append(each)
    }
    append('"')
}

/** The texts of a flat JSON object, as every answer of the server is. Throws IOException for anything else. */
internal fun readObject(text: String): Map<String, String> {
    var place = 0
    fun next(): Char = if (place < text.length) text[place++] else throw IOException("this is cut off")
    fun symbol(): Char {
        while (true) next().let { if (!it.isWhitespace()) return it }
    }
    fun string(): String = buildString {
        while (true) {
            val each = next()
            if (each == '"') break
            append(if (each != '\\') each else when (val escaped = next()) {
                'n' -> '\n'
                't' -> '\t'
                'r' -> '\r'
                'b' -> '\b'
                'f' -> '\u000c'
                'u' -> String(CharArray(4) { next() }).toInt(16).toChar()
                else -> escaped
            })
        }
    }
    fun expect(holds: Boolean) {
        if (!holds) throw IOException("this is not a flat JSON object of texts")
    }
    val found = LinkedHashMap<String, String>()
    expect(symbol() == '{')
    var symbol = symbol()
    while (symbol != '}') {
        expect(symbol == '"')
        val name = string()
        expect(symbol() == ':' && symbol() == '"')
        found[name] = string()
        symbol = symbol()
        expect(symbol == '}' || symbol == ',')
        if (symbol == ',') symbol = symbol()
    }
    return found
}
