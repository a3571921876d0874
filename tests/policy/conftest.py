from tests.dynamics.conftest import compile_once as compile_once
