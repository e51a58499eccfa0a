plugins {
    kotlin("jvm") version "2.0.21"
    `maven-publish`
}

group = "abtest"
version = "0.1.0"

repositories { mavenCentral() }

sourceSets.main { kotlin.srcDir(".") }

kotlin { jvmToolchain(17) }

publishing { publications { create<MavenPublication>("client") { from(components["java"]) } } }
