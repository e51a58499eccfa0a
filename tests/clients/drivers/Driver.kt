// Drives clients of one language: a command comes in, its answer goes out, each a line of flat JSON.

package abtest

import java.io.File

private val clients = HashMap<String, Abtest>()

private fun done(command: Map<String, String>): Map<String, String> {
    fun given(name: String): String = command.getValue(name)
    if (given("do") == "start") {
        val options = Options(
            timeout = given("timeout").toDouble(),
            sendEvery = given("send_every").toDouble(),
            pause = given("pause").toDouble(),
            say = {}
        )
        val attributes = mapOf("platform" to "test")
        clients[given("client")] = Abtest.start(given("url"), File(given("folder")), attributes, options)
        return emptyMap()
    }
    val client = clients.getValue(given("client"))
    when (given("do")) {
        "value" -> return mapOf("value" to client.value(given("key"), given("default")))
        "shown" -> client.shown(given("key"), given("value"))
        "track" -> repeat(given("times").toInt()) { client.track(given("name"), command["amount"]) }
        "restart" -> client.restart()
        "flush" -> return mapOf("done" to client.flush(given("seconds").toDouble()).toString())
        "close" -> return mapOf("done" to client.close(given("seconds").toDouble()).toString())
    }
    val counts = mapOf("queued" to client.queued, "dropped" to client.dropped, "rejected" to client.rejected)
    return mapOf("token" to (client.token ?: "")) + counts.mapValues { it.value.toString() }
}

fun main() {
    for (line in generateSequence(::readLine)) println(json(done(readObject(line)).toList()))
}
