from pathlib import Path

from setuptools import find_packages, setup

RUN_TIME = [
    "tornado>=6.6,<7",  # web/server.py uses its private names
    "aiosqlite==0.22.1",  # store/sqlite/driver.py uses its private calls
    "pysqlite3>=0.6.1",
    "jinja2>=3.1.6",
    "click>=8.2",
    "msgspec>=0.20",
    "argon2-cffi>=25",  # passwords
    "authlib>=1.7,<2",  # single sign-on
    "joserfc>=1.6",  # the signatures of single sign-on, for Authlib and beside it
    "prometheus_client>=0.26",
    "scipy>=1.15",  # scipy.special alone: quantiles and tails of distributions
    "uvloop>=0.22",
    "packaging>=25",  # versions in audiences
    "babel>=2.17",  # numbers and times as a language writes them
]
PARQUET = ["pyarrow>=20"]
POSTGRES = ["psycopg[binary,pool]>=3.3"]
DEVELOPMENT = [
    *PARQUET,
    *POSTGRES,
    "duckdb>=1.3",  # runs the examples of docs/data.md
    "pytest>=9",
    "pytest-tornasync==0.6.0.post2",
    "pytest-xdist>=3.8",  # the tests wait more than they work
    "hypothesis>=6.150",
    "openapi-spec-validator>=0.8",
    "schemathesis>=4.32",
    "requests>=2.32",
    "openfeature-sdk>=0.10",
    "openfeature-provider-ofrep>=0.3",
    "playwright>=1.60",
    "PyYAML>=6",
    "statsmodels>=0.14",  # an oracle for the tests of abtest.inference
    "numpy>=2",  # simulations in the tests of abtest.inference
    "scipy-stubs>=1.15",
    "ruff>=0.15",
    "mypy>=2",
    "build>=1.3",
    "setuptools>=77",
    "types-setuptools",
    "types-PyYAML",
]

setup(
    name="abtest",
    version="0.1.0",
    description="A self-hosted A/B-test server for mobile apps: sticky, exact and durable",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["abtest", "abtest.*"]), "abtest.templates"],
    package_dir={"abtest.templates": "templates"},
    package_data={
        "abtest": ["py.typed"],
        "abtest.store.postgres": ["sql/*.sql"],
        "abtest.store.sqlite": ["sql/*.sql"],
        "abtest.templates": ["*.html"],
        "abtest.web.api": ["specification/*.yaml"],
        "abtest.web.pages": ["static/*", "static/*/*"],
    },
    install_requires=RUN_TIME,
    extras_require={"dev": DEVELOPMENT, "parquet": PARQUET, "postgres": POSTGRES},
    entry_points={"console_scripts": ["abtest=abtest.commands:main"]},
)
